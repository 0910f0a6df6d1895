"""
Install the libraries that an action declares, once for each content of its declaration.

The declaration is found and resolved as ``hotwhisk build`` does it. A folder of libraries is made
beside its place and renamed, so it is whole or not there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hotwhisk.build import requirements, resolver
from hotwhisk.build.requirements import Form, Requirements
from hotwhisk.build.target import target
from hotwhisk.gateway.data_folder import make_private

_MONTH: Final = 30 * 86_400.0
Say = Callable[[str], None]


class Libraries:
    """A folder that keeps libraries. ``say`` is called before an installation, which takes time."""

    def __init__(self, folder: str, say: Say) -> None:
        self._folder = folder
        self._say = say
        self._locks: dict[str, threading.Lock] = {}

    def install(self, source: str) -> str:
        """
        Return the virtual environment for a source file or folder; empty if it declares nothing.

        Raises:
            UsageError: the declaration cannot be read, or uv is missing.
            BuildFailed: the libraries cannot be resolved or fetched; the text says why.
        """
        wanted = requirements.find(Path(source))
        if wanted is None or _is_empty(wanted):
            return ""
        place = os.path.join(self._folder, _key(wanted))
        with self._locks.setdefault(place, threading.Lock()):
            if not os.path.isdir(place):
                self._say(f"installing what {wanted.path.name} asks for …")
                self._fill(place, wanted)
        os.utime(place)
        return place

    def remove_old(self) -> None:
        """Remove the libraries that no start of hotwhisk dev has used for a month."""
        oldest = time.time() - _MONTH
        for name in os.listdir(self._folder) if os.path.isdir(self._folder) else ():
            path = os.path.join(self._folder, name)
            if os.stat(path).st_mtime < oldest:
                shutil.rmtree(path, ignore_errors=True)

    def _fill(self, place: str, wanted: Requirements) -> None:
        make_private(self._folder)
        python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        with tempfile.TemporaryDirectory(prefix=".", dir=self._folder) as work:
            fresh = Path(work, "libraries")
            packages = fresh / "lib" / python / "site-packages"
            packages.mkdir(parents=True)
            resolver.install(wanted, target(), packages, Path(work), sdists=True)
            fresh.rename(place)


def declared_in(source: str) -> list[str]:
    """Return the files that decide which libraries a source gets, whether they exist or not."""
    folder = source if os.path.isdir(source) else os.path.dirname(source)
    names = [form.value for form in Form if form is not Form.SCRIPT]
    return [os.path.join(folder, name) for name in names]


def _is_empty(wanted: Requirements) -> bool:
    """Return whether a ``requirements.txt`` has only comments."""
    if wanted.form is not Form.REQUIREMENTS:
        return False
    lines = map(str.strip, wanted.path.read_text(errors="replace").splitlines())
    return not any(line and not line.startswith("#") for line in lines)


def _key(wanted: Requirements) -> str:
    """Return a name for the libraries: the same Python and the same declaration have the same."""
    digest = hashlib.sha256(f"{sys.version_info[:2]}\0{wanted.form}\0".encode())
    paths = [wanted.path]
    if wanted.form is Form.UV_LOCK:
        paths.append(wanted.path.with_name(Form.PYPROJECT.value))
    for path in paths:
        content = path.read_bytes() if path.is_file() else b""
        if wanted.form is Form.SCRIPT:
            content = requirements.header(content.decode("utf-8-sig", "replace")).encode()
        digest.update(content)
    if wanted.form is Form.REQUIREMENTS:  # it may name files beside it
        digest.update(os.fsencode(wanted.path.parent))
    return digest.hexdigest()[:32]
