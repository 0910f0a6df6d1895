"""
Find out about the FILE of a server: whether it has changed, and whether it will never be served.

FILE may be large, or on a disk that stands still. So a process of its own computes the digest.
"""

from __future__ import annotations

import os

from hotwhisk.artifact import artifact, snapshot
from hotwhisk.artifact.built import misfit_of
from hotwhisk.supervisor.commands import Origin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from hotwhisk.config.config import Config
    from hotwhisk.system.system import System

COMPARE_WAIT = 5.0
"""Seconds for reading FILE, to see whether it has changed; then it counts as changed."""

NAME = "hotwhisk:compare"


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
