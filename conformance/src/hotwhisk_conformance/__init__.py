"""
Tests that tell whether a server is an action runtime of Apache OpenWhisk.

Nothing here knows how a runtime is made: it is started, spoken to over HTTP, and its two
output streams are read.
"""

__version__ = "0.1.0"
