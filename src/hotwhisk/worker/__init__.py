"""The process that answers: it reads requests, calls the action, and hands on what it holds."""
