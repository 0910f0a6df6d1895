"""
The target of the tests, and one fresh start of it: a command or a URL.

See `container` for images.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hotwhisk_conformance.streams import Streams

_FILE_SECONDS: Final = 0.2
_LOOK_SECONDS: Final = 0.02
_LEAVE_SECONDS: Final = 10.0


class TargetError(Exception):
    """The runtime cannot be started at all."""


class Running(ABC):
    """One fresh start of a runtime."""

    url = ""
    has_streams = True
    patience = _FILE_SECONDS
    """Seconds to wait for a sentinel that has not been read yet."""

    @abstractmethod
    def streams(self) -> Streams:
        """Return what it has written so far."""

    def is_there(self) -> bool:
        """Return whether it may still begin to listen."""
        return True

    @abstractmethod
    def stop(self) -> None:
        """End it and all its processes; what it wrote stays readable until `remove`."""

    @abstractmethod
    def remove(self) -> None:
        """Remove its files."""

    def settled_streams(self, sentinels: int) -> Streams:
        """
        Return all that it wrote, once enough sentinels are there or time is up.

        Then it is ended, so that a log daemon has passed on what it held back.
        """
        deadline = time.monotonic() + self.patience
        while min(self.streams().sentinels()) < sentinels and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)  # a log daemon may be late, and does not report it
        self.stop()
        return self.streams()


class Target(ABC):
    """A runtime that can be started again and again."""

    is_fresh = True
    """Whether each start is uninitialised."""

    @abstractmethod
    def start(self, env: Mapping[str, str]) -> Running:
        """Start it with these variables added to its own."""

    def compiler(self, main: str) -> list[str] | None:
        """
        Return the command that compiles an archive from stdin to stdout; None if there
        is none.
        """
        del main
        return None


class CommandTarget(Target):
    """A command; ``{port}`` in it is the port, which also is in ``PORT``."""

    def __init__(self, command: str, compile_command: str | None = None) -> None:
        self._command = shlex.split(command)
        self._compile = shlex.split(compile_command) if compile_command else None

    def start(self, env: Mapping[str, str]) -> Running:
        """Start the command in a session of its own."""
        return _Process(self._command, env)

    def compiler(self, main: str) -> list[str] | None:
        """Return the command given for that, with ``{main}`` filled in."""
        return self._compile and [word.replace("{main}", main) for word in self._compile]


class UrlTarget(Target):
    """A server that the user runs; it is restarted if he gave a command for that."""

    def __init__(self, url: str, restart_command: str | None = None) -> None:
        self._url = url
        self._restart = shlex.split(restart_command) if restart_command else None
        self.is_fresh = self._restart is not None

    def start(self, env: Mapping[str, str]) -> Running:
        """Restart it if that is possible; the variables cannot be given to it."""
        del env
        if self._restart:
            output(self._restart)
        return _Remote(self._url)


class _Process(Running):
    def __init__(self, command: list[str], env: Mapping[str, str]) -> None:
        self._port = _Port()
        port = self._port.number
        self.url = f"http://127.0.0.1:{port}"
        self._read: Streams | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="hotwhisk-conformance-"))
        self._files = [self._folder / "stdout", self._folder / "stderr"]
        words = [word.replace("{port}", str(port)) for word in command]
        with self._files[0].open("ab") as stdout, self._files[1].open("ab") as stderr:
            try:
                self._process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    env={**os.environ, "PORT": str(port), **env},
                    start_new_session=True,
                )
            except OSError as error:
                self.remove()
                raise TargetError(f"{words[0]}: {error.strerror}") from None

    def is_there(self) -> bool:
        return self._process.poll() is None

    def streams(self) -> Streams:
        # Later output ("stopping") is not the action's: only what was there before counts.
        return self._read or self._written()

    def _written(self) -> Streams:
        stdout, stderr = (file.read_text("utf-8", "backslashreplace") for file in self._files)
        return Streams(stdout, stderr)

    def stop(self) -> None:
        if self._process.poll() is None:
            # SIGTERM first, so that a server can end its children.
            self._read = self._read or self._written()
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_LEAVE_SECONDS)
            except subprocess.TimeoutExpired:
                pass
            _kill_group(self._process.pid)
            self._process.wait()

    def remove(self) -> None:
        if hasattr(self, "_process"):
            self.stop()
        self._port.give_back()
        shutil.rmtree(self._folder, ignore_errors=True)


class _Remote(Running):
    has_streams = False

    def __init__(self, url: str) -> None:
        self.url = url

    def streams(self) -> Streams:
        raise AssertionError("the streams of a remote server cannot be read")

    def stop(self) -> None:
        pass

    def remove(self) -> None:
        pass


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def output(command: list[str]) -> str:
    """Return the output of a command; raise `TargetError` if it fails or is missing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except OSError as error:
        raise TargetError(f"{command[0]}: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        raise TargetError(f"{' '.join(command[:2])} failed: {error.stderr.strip()}") from None
    return done.stdout


class _Port:
    """A free port that no other kit takes until it is released, however many run here."""

    def __init__(self) -> None:
        folder = Path(tempfile.gettempdir(), f"hotwhisk-conformance-ports-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        # Below the range of ports for outgoing connections: one of those could have the port by the
        # time the runtime wants it.
        while True:
            self.number = 10_000 + secrets.randbelow(22_000)
            self._lock = os.open(folder / str(self.number), os.O_CREAT | os.O_RDWR, 0o600)
            if self._is_ours() and _is_free(self.number):
                return
            self.give_back()

    def _is_ours(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def give_back(self) -> None:
        """Release the port."""
        os.close(self._lock)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
