"""Invoke actions: find one, merge its parameters, run it, keep the record."""
