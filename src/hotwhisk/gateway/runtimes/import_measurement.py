"""
Measure the imports of an action where its servers run: below the launcher.

Measuring loads the action, and so runs its code. It has the action's limit of memory, and nothing
that it starts outlives it, however it or the gateway ends.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack
from typing import Final

from hotwhisk.build.import_profile import Import, prepare, read
from hotwhisk.errors import BuildFailed, StartError
from hotwhisk.gateway.runtimes.launcher import Launcher
from hotwhisk.gateway.runtimes.memory_limits import MemoryLimit, MemoryLimits
from hotwhisk.platform.runtime import is_readable
from hotwhisk.system.removal import remove

SECONDS: Final = 30.0
"""How long loading may take."""

MOST_WRITTEN: Final = 8 << 20
"""Bytes that the action and the interpreter may write to standard error."""


class ImportMeasurement:
    """Measures imports, for one action at a time. Any thread may use it."""

    def __init__(self, launcher: Launcher, limits: MemoryLimits, seconds: float = SECONDS) -> None:
        self._launcher = launcher
        self._limits = limits
        self._seconds = seconds
        self._lock = threading.Lock()

    def measure(self, content: bytes, main: str, megabytes: int) -> tuple[Import, ...]:
        """
        Load an artifact, and return the imports that it makes.

        Raises:
            BuildFailed: it cannot be loaded with that much memory and in time, and why.
            StartError: another one is being measured, or the system refuses a process.
        """
        if not self._lock.acquire(blocking=False):
            raise StartError("other imports are being measured; try again in a moment")
        try:
            return self._measure(content, main, megabytes)
        except OSError as error:
            raise StartError(f"the imports cannot be measured: {error.strerror}") from None
        finally:
            self._lock.release()

    def _measure(self, content: bytes, main: str, megabytes: int) -> tuple[Import, ...]:
        with ExitStack() as stack:
            limit = self._limits.create(megabytes)
            stack.callback(self._limits.remove, limit)
            folder = self._launcher.make_folder()
            stack.callback(remove, folder)
            command = prepare(content, main, folder)
            written = self._run(command, limit, folder)
            if limit.exhausted():
                raise BuildFailed(
                    f"its imports need more memory than the {megabytes} MB of its limit"
                )
        return read(written)

    def _run(self, command: list[str], limit: MemoryLimit, folder: str) -> str:
        """Run a command to its end, or end it; return what it wrote to standard error."""
        reading, writing = os.pipe()
        with open(reading, "rb", buffering=0):
            with open(writing, "wb", buffering=0), open(os.devnull, "wb") as null:
                process = self._launcher.run(command, limit, folder, [null.fileno(), writing])
            try:
                return self._read(reading)
            finally:
                process.end(limit)

    def _read(self, pipe: int) -> str:
        """Return what is written to a pipe until all its writers have ended."""
        deadline = time.monotonic() + self._seconds
        written = bytearray()
        while len(written) <= MOST_WRITTEN:
            left = max(0.0, deadline - time.monotonic())
            if not is_readable(pipe, left):
                raise BuildFailed(f"its imports took longer than {self._seconds:g} s here")
            data = os.read(pipe, 65_536)
            if not data:
                return written.decode(errors="replace")
            written += data
        raise BuildFailed(f"its imports write more than {MOST_WRITTEN >> 20} MB to standard error")
