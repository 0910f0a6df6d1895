"""
Decide which version a server with a state folder begins with: FILE, or the one that was current.

Pure. The newest change wins. FILE is loaded as ever, unless the server began with the same FILE
before, it has not changed since, and another version became current after it. So a restart after a
crash does not take back a ``replace``, and an edited FILE is what is served.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from hotwhisk.record import Record
from hotwhisk.supervisor.commands import Candidate
from hotwhisk.supervisor.history import Version

MOST_TRIED = 3
"""Most versions that are tried at a start; each may take ``--init-timeout``."""


class First(Record):
    """What is loaded first, None for nothing. ``why`` is for the log; empty if it is clear."""

    candidate: Candidate | None
    why: str = ""


def choose(
    versions: Sequence[Version], named: Candidate | None, is_unchanged: Callable[[str], bool]
) -> First:
    """
    Choose between the ``versions`` of an earlier server and FILE, the one that is ``named``.

    ``is_unchanged`` returns whether FILE has a digest. If the chosen version cannot be loaded, the
    others are tried.
    """
    kept = [each for each in reversed(versions) if each.content.is_kept]
    if not kept:
        lost = (
            f"generation {versions[-1].number}, which was current, is not kept" if versions else ""
        )
        return First(named, lost)
    earlier = [_candidate(each, versions[-1]) for each in kept]
    if named is None:
        return First(_chain(earlier), f"{_describe(kept[0])} was current, and is loaded")
    origin = named.artifact.origin
    name = origin.path.rpartition("/")[2]
    served = [each for each in versions if each.how == "file" and each.content.origin == origin]
    if served and served[-1] is versions[-1]:
        return First(_chain([named, *earlier]), f"{name} was current, and is loaded as it is now")
    if served and is_unchanged(served[-1].digest):
        why = f"it became current after {name}, which has not changed since; SIGHUP loads {name}"
        first = _chain([earlier[0], named, *earlier[1:]])
        return First(first, f"{_describe(kept[0])} is loaded: {why}")
    why = "it has changed" if served else "it was not served before"
    other = f"hotwhisk rollback {kept[0].number} goes back to {_describe(kept[0])}"
    return First(_chain([named, *earlier]), f"{name} is loaded: {why}; {other}")


def _candidate(version: Version, last: Version) -> Candidate:
    """Return what loads a version; the one that was current last keeps its number."""
    candidate = version.candidate()
    if version is last:
        candidate.rollback, candidate.generation = False, version.number
    return candidate


def _chain(candidates: Sequence[Candidate]) -> Candidate:
    """Return the first candidate; each one is loaded if the one before cannot be loaded."""
    for candidate, following in pairwise(candidates[:MOST_TRIED]):
        candidate.fallback = following
    return candidates[0]


def _describe(version: Version) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(version.at))
    how = {"replace": "by replace", "file": "from a file", "rollback": "by rollback"}[version.how]
    return f"generation {version.number} ({how}, {at})"
