"""
Install the libraries that an action declares, once for each content of its declaration.

The declaration is found and resolved as ``hotwhisk build`` does it. A folder of libraries is made
beside its place and renamed, so it is whole or not there.

Each installation has a thread, for which those wait that want its libraries. A save ends such a
wait, and not the installation: the next version mostly wants the same libraries. An installation
is ended when what wanted it wants others.
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
from hotwhisk.build.runner import EndableToolRunner
from hotwhisk.build.target import target
from hotwhisk.gateway.cancellation import Cancellation
from hotwhisk.gateway.data_folder import make_private

_MONTH: Final = 30 * 86_400.0
_END_SECONDS: Final = 2.0
"""How long an installation may take to end that was given up."""
Say = Callable[[str], None]


class _Installation:
    """
    An installation that runs, in a thread of its own.

    ``failure`` is set once it has ``ended`` without success.
    """

    def __init__(self) -> None:
        self.runner = EndableToolRunner()
        self.thread = threading.Thread()
        self.ended = False
        self.failure: Exception | None = None


class Libraries:
    """
    A folder that keeps libraries. Any thread may use it.

    ``say`` is called before an installation, which takes time.
    """

    def __init__(self, folder: str, say: Say) -> None:
        self._folder = folder
        self._say = say
        self._news = threading.Condition()
        self._wanted: dict[str, str] = {}
        """By source, the place of the libraries that it has wanted last."""
        self._running: dict[str, _Installation] = {}
        """By place, those that are wanted."""
        self._ending: set[_Installation] = set()

    def install(self, source: str, cancellation: Cancellation) -> str:
        """
        Return the virtual environment for a source file or folder; empty if it declares nothing.

        Raises:
            UsageError: the declaration cannot be read, or uv is missing.
            BuildFailed: the libraries cannot be resolved or fetched; the text says why.
            Cancelled: ``cancellation`` ended the wait.
        """
        wanted = requirements.find(Path(source))
        place = "" if wanted is None or _is_empty(wanted) else self._place(wanted)
        with self._news:
            self._wanted[source] = place
            for each in self._running.keys() - set(self._wanted.values()):
                unwanted = self._running.pop(each)
                self._ending.add(unwanted)
                unwanted.runner.end()
        if wanted is None or not place:
            return ""
        self._wait(place, wanted, cancellation)
        os.utime(place)
        return place

    def close(self) -> None:
        """End all installations."""
        with self._news:
            installations = [*self._running.values(), *self._ending]
        for each in installations:
            each.runner.end()
        for each in installations:
            each.thread.join(_END_SECONDS)

    def remove_old(self) -> None:
        """Remove the libraries that no start of hotwhisk dev has used for a month."""
        oldest = time.time() - _MONTH
        for name in os.listdir(self._folder) if os.path.isdir(self._folder) else ():
            path = os.path.join(self._folder, name)
            if os.stat(path).st_mtime < oldest:
                shutil.rmtree(path, ignore_errors=True)

    def _place(self, wanted: Requirements) -> str:
        return os.path.join(self._folder, _key(wanted))

    def _wait(self, place: str, wanted: Requirements, cancellation: Cancellation) -> None:
        """Wait until libraries are installed; begin with that unless it is being done."""
        left = threading.Event()

        def leave() -> None:
            with self._news:
                left.set()
                self._news.notify_all()

        with cancellation.ending(leave), self._news:
            if os.path.isdir(place):
                return
            installation = self._running.get(place) or self._begin(place, wanted)
            self._news.wait_for(lambda: installation.ended or left.is_set())
        if not installation.ended:
            cancellation.check()
        if installation.failure is not None:
            raise installation.failure

    def _begin(self, place: str, wanted: Requirements) -> _Installation:
        self._say(f"installing what {wanted.path.name} asks for …")
        new = self._running[place] = _Installation()
        new.thread = threading.Thread(
            target=self._run, args=(place, wanted, new), name="libraries", daemon=True
        )
        new.thread.start()
        return new

    def _run(self, place: str, wanted: Requirements, installation: _Installation) -> None:
        try:
            self._fill(place, wanted, installation.runner)
        except Exception as error:  # noqa: BLE001 - raised again by those that wait for it
            installation.failure = error
        with self._news:
            installation.ended = True
            self._ending.discard(installation)
            if self._running.get(place) is installation:
                del self._running[place]
            self._news.notify_all()

    def _fill(self, place: str, wanted: Requirements, runner: EndableToolRunner) -> None:
        make_private(self._folder)
        python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        with tempfile.TemporaryDirectory(prefix=".", dir=self._folder) as work:
            fresh = Path(work, "libraries")
            packages = fresh / "lib" / python / "site-packages"
            packages.mkdir(parents=True)
            resolver.install(wanted, target(), packages, Path(work), sdists=True, runner=runner)
            if not os.path.isdir(place):  # else one that was given up had just ended
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
