"""Load, call and house the user's code."""
