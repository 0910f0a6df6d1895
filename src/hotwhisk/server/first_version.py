"""
Decide which version a server with a state folder begins with: FILE, or the one that was current.

The newest change wins. FILE is loaded as ever, unless the server began with the same FILE before,
it has not changed since, and another version became current after it. So a restart after a crash
does not take back a ``replace``, and an edited FILE is what is served.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from hotwhisk.artifact import artifact, snapshot
from hotwhisk.artifact.built import misfit_of
from hotwhisk.record import Record
from hotwhisk.supervisor.commands import Candidate, Origin
from hotwhisk.supervisor.history import Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from hotwhisk.config.config import Config
    from hotwhisk.system.system import System

MOST_TRIED = 3
"""Most versions that are tried at a start; each may take ``--init-timeout``."""

COMPARE_WAIT = 5.0
"""Seconds for reading FILE, to see whether it has changed; then it counts as changed."""

NAME = "hotwhisk:compare"


class First(Record):
    """What is loaded first, None for nothing; and why, for the log, if that is not clear."""

    candidate: Candidate | None
    why: str = ""


def choose(
    versions: Sequence[Version], named: Candidate | None, is_unchanged: Callable[[str], bool]
) -> First:
    """
    Choose between the ``versions`` of an earlier server and FILE, the one that is ``named``.

    ``is_unchanged`` returns whether FILE has a digest. What is not chosen is loaded if what is
    chosen cannot be loaded.
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
    origin, name = named.artifact.origin, os.path.basename(named.artifact.origin.path)
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
        candidate.instead = following
    return candidates[0]


def _describe(version: Version) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(version.at))
    how = {"replace": "by replace", "file": "from a file", "rollback": "by rollback"}[version.how]
    return f"generation {version.number} ({how}, {at})"


def has_digest(system: System, origin: Origin, digest: str) -> bool:
    """
    Return whether a file or folder has a digest. It is read in a process of its own.

    A module is not read, because that would run code; it counts as unchanged.
    """
    if origin.module:
        return True
    try:
        return _read_digest(system, origin.path) == digest.encode()
    except OSError:
        return False


def _read_digest(system: System, path: str) -> bytes:
    """
    Return the digest of a file or folder; empty if it cannot be read.

    Raises:
        OSError: the system has no process for it, or it takes too long.
    """
    ours, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        try:
            _, pidfd = system.fork(lambda: _report_digest(path, theirs), NAME)
        finally:
            os.close(theirs)
        system.wait_end(pidfd, COMPARE_WAIT)
        system.kill(pidfd)
        system.wait_end(pidfd, COMPARE_WAIT)
        system.reap(pidfd)
        os.close(pidfd)
        return os.read(ours, 100)
    finally:
        os.close(ours)


def _report_digest(path: str, report: int) -> NoReturn:
    try:
        os.write(report, digest_at(path).encode())
    finally:
        os._exit(0)


def why_unfit(config: Config, text: str) -> str:
    """
    Return why a server ends, as its FILE did not load; empty if it waits for a version.

    ``text`` says why FILE did not load. If FILE was built for another machine, it never will.
    """
    if misfit := misfit_of(config.file or ""):
        return misfit
    return (
        f"--strict: {config.file or config.module} does not load: {text}" if config.strict else ""
    )


def digest_at(path: str) -> str:
    """
    Return the digest of a file or folder, as it has when it is served.

    Raises:
        OSError, BuildFailed: it cannot be read, or holds no action.
    """
    entry = artifact.find_entry(path, served=path) if os.path.isdir(path) else path
    with open(entry, "rb") as file:
        content = file.read()
    if artifact.detect(content) is artifact.Kind.SOURCE:
        return snapshot.of_path(path, entry, content).digest
    return artifact.digest_of(content)
