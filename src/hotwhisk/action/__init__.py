"""Load, call and isolate the user's code."""
