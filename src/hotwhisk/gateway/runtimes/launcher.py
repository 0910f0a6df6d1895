"""Have the launcher's process start servers and other programs, and start it again if it dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, NamedTuple

from hotwhisk.errors import StartError
from hotwhisk.gateway.runtimes.launcher_process import LONGEST
from hotwhisk.gateway.runtimes.memory_limits import MemoryLimit
from hotwhisk.platform.process_runtime import end_all, freeze, is_stopped
from hotwhisk.platform.runtime import is_readable

MODULE = "hotwhisk.gateway.runtimes.launcher_process"
SILENT_SECONDS = 0.5
"""
How long the process may take to start a server before it counts as silent.

Then it may be stopped, by an action. It is told to go on, and if it stays stopped, it is killed.
"""

ANSWER_SECONDS = 10.0
"""How long it may take on a busy machine; then it is killed, with its servers."""

END_SECONDS = 5.0
"""How long all servers may take to end with the gateway."""


class Launched(NamedTuple):
    """A process that was started. The caller ends it, or closes ``pidfd``."""

    pid: int
    pidfd: int

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return is_readable(self.pidfd, 0)

    def end(self, limit: MemoryLimit) -> None:
        """Kill it with all that is below it and in its control group, and close ``pidfd``."""
        while pids := limit.processes():
            end_all(pids)
        if not self.ended:  # otherwise another process may have its pid now
            end_all(freeze(self.pid))
        os.close(self.pidfd)


class Launcher:
    """
    The process below which all code of actions runs. Any thread may use it.

    ``run_dir`` holds the run folders of the servers, and an empty folder in which they work. The
    folder above it must be there. ``environ`` is their whole environment.
    """

    def __init__(self, run_dir: str, environ: Mapping[str, str]) -> None:
        self._run_dir = run_dir
        self.environ = dict(environ)
        self._lock = threading.Lock()
        self._closed = False
        self._start_process()

    def make_folder(self) -> str:
        """
        Make a run folder for one server, which is to be removed after its end.

        Raises:
            StartError: the system refuses it.
        """
        self._make_run_dir()
        try:
            return tempfile.mkdtemp(dir=self._run_dir)
        except OSError as error:
            raise self._unusable(error) from None

    def start(
        self,
        token: str,
        workers: int,
        limit: MemoryLimit,
        folder: str,
        descriptors: Sequence[int],
    ) -> Launched:
        """
        Start a server. ``folder`` is its run folder, ``workers`` the most that it may have.

        ``descriptors`` are the ends of pipes for its two output streams, and its listener.

        Raises:
            StartError: the system refuses another process.
        """
        wanted = {"token": token, "workers": workers, "folder": folder, **asdict(limit)}
        return self._launch(wanted, descriptors)

    def run(
        self, command: Sequence[str], limit: MemoryLimit, folder: str, descriptors: Sequence[int]
    ) -> Launched:
        """
        Start another program, in ``folder``. What it leaves when it ends is killed.

        ``descriptors`` are the ends of pipes for its two output streams.

        Raises:
            StartError: the system refuses another process, or the command is too long.
        """
        return self._launch({"command": command, "folder": folder, **asdict(limit)}, descriptors)

    def close(self) -> None:
        """End the process with all servers."""
        with self._lock:
            self._closed = True
            self._end_process()

    def _launch(self, wanted: Mapping[str, Any], descriptors: Sequence[int]) -> Launched:
        packet = json.dumps(wanted).encode()
        if len(packet) > LONGEST:
            raise StartError(f"a command may have {LONGEST} bytes, and this one has {len(packet)}")
        with self._lock:
            if self._closed:
                raise StartError("no process can be started: the gateway is ending")
            try:
                answer, received = self._ask(packet, descriptors)
            except (ConnectionError, TimeoutError):  # it was killed or stopped by an action
                self._process.kill()
                self._end_process()
                self._start_process()
                answer, received = self._ask_again(packet, descriptors)
        if "error" in answer:
            raise StartError(f"no process can be started: {answer['error']}")
        if not received:
            with suppress(OSError):
                os.kill(answer["pid"], signal.SIGKILL)
            raise StartError("no process can be started: no descriptor is free")
        return Launched(answer["pid"], received[0])

    def _ask_again(
        self, packet: bytes, descriptors: Sequence[int]
    ) -> tuple[dict[str, Any], list[int]]:
        try:
            return self._ask(packet, descriptors)
        except (ConnectionError, TimeoutError):
            raise StartError("no process can be started: the launcher does not answer") from None

    def _ask(self, packet: bytes, descriptors: Sequence[int]) -> tuple[dict[str, Any], list[int]]:
        socket.send_fds(self._channel, [packet], list(descriptors))
        self._wait_answer()
        answer, received, _, _ = socket.recv_fds(self._channel, LONGEST, 1)
        if not answer:
            raise ConnectionResetError
        return json.loads(answer), received

    def _wait_answer(self) -> None:
        """
        Wait until an answer can be read.

        Raises:
            TimeoutError: the process stays stopped, or has no answer in all the time.
        """
        channel = self._channel.fileno()
        if is_readable(channel, SILENT_SECONDS):
            return
        self._process.send_signal(signal.SIGCONT)  # changes nothing for a process that runs
        if is_readable(channel, SILENT_SECONDS):
            return
        if is_stopped(self._process.pid) or not is_readable(channel, ANSWER_SECONDS):
            raise TimeoutError

    def _make_run_dir(self) -> str:
        """
        Make the folder for run folders, which something may have removed; return the empty one.

        The folder of data above it is not made again.
        """
        empty = os.path.join(self._run_dir, "empty")
        try:
            for each in (self._run_dir, empty):
                with suppress(FileExistsError):
                    os.mkdir(each, 0o700)
        except OSError as error:
            raise self._unusable(error) from None
        return empty

    def _unusable(self, error: OSError) -> StartError:
        return StartError(f"no process can be started in {self._run_dir}: {error.strerror}")

    def _start_process(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.settimeout(ANSWER_SECONDS)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd=self._make_run_dir(),
                env=self.environ,
                start_new_session=True,
            )

    def _end_process(self) -> None:
        self._channel.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
