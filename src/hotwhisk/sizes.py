"""Measure code as the platform does, and format sizes for people. Pure."""

from __future__ import annotations

MEGABYTE = 1 << 20
MOST_CODE = 48 * MEGABYTE
"""The platform's limit for the code of an action, in bytes of `code_size`."""


def code_size(code: str | bytes) -> int:
    """
    Return the bytes of the code of an action as the platform counts them.

    It counts the text that is posted: that of a source, or that of an archive in base64. ``code``
    is this text, or the bytes of an archive.
    """
    if isinstance(code, bytes):
        return -(-len(code) // 3) * 4
    return len(code) if code.isascii() else len(code.encode("utf-8", "replace"))


def show_size(size: float) -> str:
    """Return bytes for people: ``80 B``, ``154 KB``, ``28.4 MB``, ``56 MB``."""
    if size < 1024:
        return f"{size:.0f} B"
    if size < MEGABYTE:
        return f"{size / 1024:.0f} KB"
    return f"{size / MEGABYTE:.1f}".removesuffix(".0") + " MB"


def show_excess(size: int, limit: int) -> tuple[str, str]:
    """Return a size and the limit that it exceeds; in bytes if they would look the same."""
    pair = show_size(size), show_size(limit)
    return pair if pair[0] != pair[1] else (f"{size} bytes", f"{limit} bytes")
