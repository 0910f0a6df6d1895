"""Run the process that reads requests, calls the action, and hands on the rest."""
