"""Measure how fast hotwhisk is, side by side with a bare server of the same language."""
