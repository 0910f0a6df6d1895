"""Run the programs that resolve and install libraries."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from hotwhisk.errors import BuildFailed


class ToolRunner:
    """Runs programs one after another."""

    _own_session: ClassVar[bool] = False

    def run(self, command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a program in ``folder`` to its end, and return its output."""
        with self._start(command, folder) as process:
            try:
                output, errors = process.communicate()
            except BaseException:  # such as KeyboardInterrupt
                process.kill()
                raise
        return subprocess.CompletedProcess(command, process.returncode, output, errors)

    def _start(self, command: list[str], folder: Path) -> subprocess.Popen[str]:
        environment = {
            **os.environ, "NO_COLOR": "1", "UV_NO_PROGRESS": "1", "UV_COMPILE_BYTECODE": "0",
            "UV_NO_EDITABLE": "1",
        }  # fmt: skip
        environment.pop("VIRTUAL_ENV", None)
        return subprocess.Popen(
            command,
            cwd=folder.absolute(),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=self._own_session,
        )


class EndableToolRunner(ToolRunner):
    """
    Runs programs until another thread ends that.

    The programs have no terminal. So they do not get its Ctrl-C, and none of them, such as git, can
    ask for a password.
    """

    _own_session = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = False
        self._process: subprocess.Popen[str] | None = None

    def end(self) -> None:
        """End the program that runs, with all that it has started; no further one is started."""
        with self._lock:
            self._ended = True
            if self._process is not None and self._process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def _start(self, command: list[str], folder: Path) -> subprocess.Popen[str]:
        with self._lock:
            if self._ended:
                raise BuildFailed("the installation was given up")
            self._process = super()._start(command, folder)
            return self._process
