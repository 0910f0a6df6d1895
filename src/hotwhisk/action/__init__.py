"""The user's code: how it is loaded, called and housed."""
