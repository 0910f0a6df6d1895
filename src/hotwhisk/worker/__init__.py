"""Run the process that reads requests, calls the action, and sends the rest to the supervisor."""
