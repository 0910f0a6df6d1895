"""
A server as a real process, on a listener that the test owns.

The test binds port 0 and passes the listening socket (sd_listen_fds(3)), so it never guesses a
port. The server sends READY=1 on a datagram socket (sd_notify(3)). Its end is reported by a pidfd.
Every process that it starts has a mark in its environment, so leftover processes are found even
after another process has adopted them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from . import tree
from .actions import version_source
from .client import Address, init_once, run_once
from .waiting import wait_exit
from .wire import ClientError

ROOT = Path(__file__).resolve().parents[2]
HOTWHISK = (sys.executable, "-m", "hotwhisk", "serve")

END_LIMIT = 30.0
"""
Seconds in which a server that is told to stop has ended on a busy machine.

The limits of a stop itself are 14 s beside ``--drain-timeout``.
"""

# LISTEN_PID must be the server's own pid, which is known only after the fork. So a first program
# sets it and becomes the server. Arguments: descriptor, limit of open files, command.
_SHIM = """
import os, resource, sys
end, files = int(sys.argv[1]), int(sys.argv[2])
if end != 3:
    os.dup2(end, 3)
    os.set_inheritable(end, False)
if files:
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
os.environ["LISTEN_PID"] = str(os.getpid())
os.execvp(sys.argv[3], sys.argv[3:])
"""


def mcp_url(server: Server) -> str:
    """Return the address at which agents call the action of a server with ``--mcp``."""
    found = re.search(r"agents call the action at (\S+)", server.stderr())
    assert found is not None, server.stderr()
    return found[1]


class NotReady(ClientError):
    """The server ended, or did not send READY=1 in time."""


class NotReplaced(ClientError):
    """A correct version did not become current."""


class Server:
    """
    A running server; a context manager that leaves no process behind.

    ``arguments`` follow the command. ``nofile`` lowers the limit of open files. ``output`` is a
    descriptor that is used for stdout and stderr instead of files.
    """

    def __init__(
        self,
        *arguments: str,
        command: Sequence[str] = HOTWHISK,
        env: Mapping[str, str] | None = None,
        nofile: int = 0,
        ready_timeout: float = 10.0,
        output: int | None = None,
    ) -> None:
        self.mark = f"SERVER_UNDER_TEST={uuid.uuid4().hex}"
        self.folder = Path(tempfile.mkdtemp(prefix="hotwhisk-test-"))
        self.run_dir = self.folder / "run"
        self.notes: list[str] = []
        self.run_path = "/run"
        self.replace_command = ""
        own = ("--run-dir", str(self.run_dir)) if tuple(command) == HOTWHISK else ()
        self.command = [*command, *arguments, *own]
        self._env = dict(env or {})
        self._nofile = nofile
        self._output = output
        self._ready_timeout = ready_timeout

    def __enter__(self) -> Self:
        for folder in (self.run_dir, self.folder / "tmp"):
            folder.mkdir(mode=0o700)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._notify.bind(str(self.folder / "notify"))
        # Closed here once the server has it: a test that held it would hide a refusal.
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", 0))
            listener.listen(1024)
            self.address: Address = listener.getsockname()
            self._start(listener)
        self._pidfd = os.pidfd_open(self.pid)
        try:
            self._wait_ready()
        except BaseException:
            self._cleanup()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self.process.poll() is None:
                self.terminate()
                self.wait(10.0)
        finally:
            self._cleanup()

    def _start(self, listener: socket.socket) -> None:
        end = listener.fileno()
        with (
            (self.folder / "stdout").open("wb") as stdout,
            (self.folder / "stderr").open("wb") as stderr,
        ):
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-I",
                    "-S",
                    "-c",
                    _SHIM,
                    str(end),
                    str(self._nofile),
                    *self.command,
                ],
                stdin=subprocess.DEVNULL,
                stdout=stdout if self._output is None else self._output,
                stderr=stderr if self._output is None else self._output,
                pass_fds=(end,),
                env=self._environment(),
                cwd=self.folder,
            )
        self.pid = self.process.pid

    def _environment(self) -> dict[str, str]:
        env = dict(os.environ)
        for name in ("PORT", "LISTEN_PID", "LISTEN_FDNAMES"):
            env.pop(name, None)
        env |= {"LISTEN_FDS": "1", "NOTIFY_SOCKET": str(self.folder / "notify")}
        env["TMPDIR"] = str(self.folder / "tmp")
        env |= dict([self.mark.split("=", 1)]) | self._env
        if importlib.util.find_spec("hotwhisk") is None:
            env.setdefault("PYTHONPATH", str(ROOT / "src"))
        return env

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + self._ready_timeout
        while "READY=1" not in self.notes:
            left = max(0.0, deadline - time.monotonic())
            notify = self._notify.fileno()
            ready, _, _ = select.select([notify, self._pidfd], [], [], left)
            if notify in ready:
                self.notes += self._notify.recv(4096).decode().splitlines()
            else:
                why = "left" if ready else "was silent"
                raise NotReady(f"{self.command}: {why} before READY=1; {self.stderr()}")

    def _cleanup(self) -> None:
        # Only processes that carry this server's own mark, each by its pid.
        for pid in self.left():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()
        os.close(self._pidfd)
        self._notify.close()
        # By `rm`, because Python cannot remove all that an action can leave there.
        subprocess.run(["rm", "-rf", "--", self.folder], check=True)

    @property
    def port(self) -> int:
        """The port of the listener."""
        return self.address[1]

    @property
    def url(self) -> str:
        """The server's address as a URL."""
        return f"http://127.0.0.1:{self.port}"

    def stdout(self) -> str:
        """Return what the server and its actions wrote to stdout so far."""
        return (self.folder / "stdout").read_text(errors="replace")

    def stderr(self) -> str:
        """Return what the server and its actions wrote to stderr so far."""
        return (self.folder / "stderr").read_text(errors="replace")

    def replace(self, number: int) -> None:
        """
        Make the versioned echo ``number`` current; raise ``NotReplaced`` if the server
        refuses.
        """
        self.post(version_source(number))

    def post(self, source: str | bytes) -> None:
        """Make a source current; raise ``NotReplaced`` if the server refuses."""
        response = init_once(self.address, source)
        if response.status != 200:
            raise NotReplaced(f"/init: {response.status} {response.body[:200]!r}")

    def call(self, event: object = None) -> Any:
        """Return the result of one ``/run``, which must succeed."""
        response = run_once(self.address, {} if event is None else event)
        assert response.status == 200, (response, self.stderr())
        return json.loads(response.body)

    def end_well(self) -> None:
        """Stop the server, if it still runs: it must exit with status 0 and leave nothing."""
        if self.process.poll() is None:
            self.terminate()
        status = self.wait(END_LIMIT)
        assert status == 0, f"exit status {status}\n{self.stderr()}"
        assert not self.left()
        assert "Traceback" not in self.stderr()

    def terminate(self) -> None:
        """Send SIGTERM to the server."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self, timeout: float) -> int | None:
        """
        Return the exit status, or None if the server has not ended within ``timeout``
        seconds.
        """
        if not wait_exit(self._pidfd, timeout):
            return None
        return self.process.wait()

    def tree(self) -> set[int]:
        """Return the pids of the server and everything below it."""
        return tree.below(self.pid)

    def left(self) -> set[int]:
        """Return every process that comes from this server, also those with another parent now."""
        return self.tree() | tree.marked(self.mark)

    def pss(self) -> int:
        """Return the memory of the whole tree in bytes."""
        return tree.pss(self.tree())

    def anonymous(self) -> int:
        """Return the memory of the whole tree that is no file's, in bytes."""
        return tree.anonymous(self.tree())

    def threads(self) -> int:
        """Return the number of threads of the whole tree."""
        return sum(tree.threads(pid) for pid in self.tree())

    def descriptors(self) -> int:
        """Return the number of open descriptors of the whole tree."""
        return sum(len(tree.descriptors(pid)) for pid in self.tree())

    def files(self) -> int:
        """
        Return the number of files and folders in its run folder and in its folder for temporary
        files.
        """
        return sum(1 for kept in (self.run_dir, self.folder / "tmp") for _ in kept.rglob("*"))
