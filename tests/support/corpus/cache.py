"""
Make once what takes long to make: compiled and installed files, kept in build-out/corpus.

The name of a folder has the digest of all that it was made from, so a change makes another folder.
A folder is complete when it has a stamp; one without was left by a run that was interrupted.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

CACHE = Path(__file__).parents[3] / "build-out" / "corpus"
WHOLE = ".whole"


class Unbuildable(Exception):
    """An action cannot be built, or run, on this machine; the text says what is missing."""


def kept(
    name: str, inputs: Iterable[bytes], make: Callable[[Path], None], place: Path = CACHE
) -> Path:
    """
    Return the folder that ``make`` fills from ``inputs`` and this Python; make it if it is
    missing.
    """
    digest = hashlib.sha256(f"{sys.executable}\0{sys.version}".encode())
    for content in inputs:
        digest.update(hashlib.sha256(content).digest())
    folder = place / f"{name}-{digest.hexdigest()[:16]}"
    place.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run of the tests may be filling it
        if not (folder / WHOLE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            (folder / WHOLE).touch()
    return folder


def call(
    what: str, command: Sequence[str | Path], folder: Path, env: Mapping[str, str] | None = None
) -> None:
    """
    Run a step of a recipe; if it fails, raise an error with ``what`` it is for and its
    output.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Unbuildable(f"{what} failed, status {done.returncode}:\n{done.stdout}")
