"""
The proofs of "How it must hold", one module each; ``python -m tests.prove`` runs them long.

Each proof is a function of a running server and of its size, and returns an Outcome. The tests call
the same functions with small sizes. A proof that needs only HTTP can be run on any server
(``--url``, ``--replace-command``).
"""
