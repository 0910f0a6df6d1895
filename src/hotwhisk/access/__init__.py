"""Who may call the action, and who may replace it: checks of requests, and files of tokens."""
