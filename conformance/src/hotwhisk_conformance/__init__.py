"""
Test whether a server is an action runtime of Apache OpenWhisk.

Nothing here depends on how a runtime is made: it is started, called over HTTP, and its two output
streams are read.
"""

__version__ = "0.1.0"
