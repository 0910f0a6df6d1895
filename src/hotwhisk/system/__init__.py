"""The layer between the server and the operating system."""
