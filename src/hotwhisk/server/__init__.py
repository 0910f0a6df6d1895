"""A server as the operating system sees it: start, port, signals, status, stop."""
