"""
The proofs of "How it must hold", one module each; ``python -m tests.prove`` runs them long.

Each proof is a function of a running server and of its size, and returns an Outcome; the
tests call the same functions with small sizes. What needs only HTTP can be pointed at any
server (``--url``, ``--replace-command``).
"""
