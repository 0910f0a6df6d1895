"""
Have a worker serve one run only: ``--fresh``.

Before its handler is called, the worker tells the supervisor, and releases its other connections.
From then on it drains: a further ``/run`` that it reads is parked for another worker, and after its
answer it exits. `hotwhisk.supervisor.single_run` has the rules.

It has a private folder, which it removes when it exits: for temporary files, and as its working
directory, if that is the folder of a posted version. The private one begins as a copy of that
folder, if it is small: the content is read once, before the template is forked. Of a large one,
each entry is a link. If the worker is killed, the next worker in its slot removes what is left.
"""

from __future__ import annotations

import os
import sys
from errno import ENOSPC
from functools import partial

from hotwhisk.action.isolation import set_environment
from hotwhisk.ipc.messages import RELEASED_AT_ONCE, Failed, Released, RunBegun
from hotwhisk.system.removal import remove
from hotwhisk.worker.own_process import exit_gracefully

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hotwhisk.worker.connection import Connection
    from hotwhisk.worker.connections import Connections

MOST_BYTES = 1 << 20
MOST_ENTRIES = 200
"""What is copied takes less than a millisecond."""

LINKED = "virtualenv"
"""The folder of libraries in an artifact; it is not copied."""


class OnlyRun:
    """
    What a worker of ``--fresh`` does besides. ``rehearse`` answers a sample request, given the
    lowest number of a descriptor that the server opens in the worker.
    """

    def __init__(self, rehearse: Callable[[int], None]) -> None:
        self._rehearse = rehearse
        self._content: FolderContent | None = None

    def read_folder(self, code: str) -> None:
        """Read the folder of a version, once for all workers that are forked from this one."""
        self._content = read_content(code)

    def prepare(self, connections: Connections, code: str) -> Failed | None:
        """Rehearse the run, and make its folder beside ``code``; return Failed if that fails."""
        self._rehearse(connections.place.lowest)
        return enter_folder(connections, code, self._content)

    def begin(self, connections: Connections, connection: Connection) -> None:
        """Tell the supervisor that the run begins; release all connections but ``connection``."""
        connections.draining = True
        others = [each for each in connections.by_number.values() if each is not connection]
        free = [each for each in others if not each.stays_at_recall]
        for each in free:
            connections.remove(each)
        released = [[each.number, each.epoch] for each in free]
        connections.channel.send(RunBegun(released[:RELEASED_AT_ONCE]))
        while released := released[RELEASED_AT_ONCE:]:
            connections.channel.send(Released(released[:RELEASED_AT_ONCE]))
        connections.channel.flush_all()  # the run may take long


class FolderContent:
    """
    What is in the folder of a version: its ``folders``, its ``files`` with mode and bytes, and its
    ``links`` with their targets. All names are relative to the folder.
    """

    def __init__(self) -> None:
        self.folders: list[str] = []
        self.files: list[tuple[str, int, bytes]] = []
        self.links: list[tuple[str, str]] = []
        self._left = MOST_BYTES

    def read(self, folder: str, below: str = "") -> bool:
        """Read a folder; return False if it has too much."""
        for entry in os.scandir(folder):
            name = f"{below}{entry.name}"
            if entry.is_symlink():
                self.links.append((name, os.readlink(entry.path)))
            elif name == LINKED:
                self.links.append((name, entry.path))
            elif entry.is_dir():
                self.folders.append(name)
                if not self.read(entry.path, f"{name}/"):
                    return False
            elif entry.is_file():
                found = entry.stat()
                self._left -= found.st_size
                if self._left < 0:
                    return False
                with open(entry.path, "rb", buffering=0) as file:
                    self.files.append((name, found.st_mode & 0o777, file.read()))
            if len(self.folders) + len(self.files) + len(self.links) > MOST_ENTRIES:
                return False
        return True

    def write(self, folder: str) -> None:
        """Make a folder with this content."""
        os.mkdir(folder)
        for name in self.folders:
            os.mkdir(f"{folder}/{name}")
        for name, mode, content in self.files:
            file = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, mode)
            try:
                if os.write(file, content) < len(content):
                    raise OSError(ENOSPC, os.strerror(ENOSPC))
            finally:
                os.close(file)
        for name, target in self.links:
            os.symlink(target, f"{folder}/{name}")


def read_content(folder: str) -> FolderContent | None:
    """
    Return what is in ``folder``, where a posted version is unpacked, for a private copy.

    Return None if the folder is not the working directory, or cannot be read.
    """
    content = FolderContent()
    try:
        if os.getcwd() != os.path.realpath(folder):
            return None
        if not content.read(folder):
            content = FolderContent()
            content.links += [(entry.name, entry.path) for entry in os.scandir(folder)]
    except OSError:  # the folder is gone, or belongs to another user
        return None
    return content


def enter_folder(
    connections: Connections, code: str, content: FolderContent | None
) -> Failed | None:
    """
    Make the private folder of this process beside ``code``, and have the action use it.

    With ``content``, the action also gets a working directory of its own, which begins with that.
    Return Failed if the folder cannot be made.
    """
    holder = os.path.dirname(code)
    folder = f"{holder}/runs/{connections.place.slot}"
    temporary, working = f"{folder}/files", f"{folder}/work"
    try:
        remove(folder)
        os.makedirs(temporary, 0o700)
        if content is not None:
            content.write(working)
            os.chdir(working)
            set_environment({"PWD": working})
    except OSError as error:
        return Failed(502, f"the folder of a run cannot be made in {holder}: {error.strerror}")
    set_environment({"TMPDIR": temporary})
    library = sys.modules.get("tempfile")
    if getattr(library, "tempdir", None) is not None:
        library.tempdir = temporary  # type: ignore[union-attr]  # it has looked there before
    connections.exit = partial(exit_gracefully, partial(remove, folder))
    return None
