"""The servers in which actions run: one for each action in use, started on the first call."""
