"""Number the versions of an entity, and notice when two writers change it at once."""

from __future__ import annotations


class Conflict(Exception):
    """Another writer has changed the entity since it was read."""


def next_version(version: str | None) -> str:
    """Return the number that the platform gives to the next version of an entity."""
    if version is None:
        return "0.0.1"
    major, minor, patch = version.split(".")
    return f"{major}.{minor}.{int(patch) + 1}"


def new_version(current: str | None, *, wanted: str | None, expected: str | None) -> str:
    """
    Return the number of a version that is about to be stored.

    ``current`` is the stored one, ``wanted`` the one that the client chose. ``expected`` is the one
    that the writer has read: empty if there was none, None if the writer does not mind.

    Raises:
        Conflict: another version is stored.
    """
    if expected is not None and expected != (current or ""):
        raise Conflict
    return wanted or next_version(current)
