"""
Helpers for tests, proofs and the bench: a client, a load, a server started as a real process.

Everything here sees a server from outside only: HTTP, signals and /proc.
"""
