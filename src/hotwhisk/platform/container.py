"""
A runtime that is a container of an image, driven by an engine's command line.

It is called at the container's own address, as the platform calls it. If that address cannot be
reached (an engine in a virtual machine, or one without root), a port of this machine leads there.
Then a proxy of the engine accepts connections for a runtime that does not listen yet, and drops
them, where the platform would be refused and try again. So in that case the start waits until a
connection is kept.
"""

from __future__ import annotations

import ipaddress
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Final

from hotwhisk.errors import StartError
from hotwhisk.platform.runtime import Runtime, is_readable, spawn

PORT: Final = 8080
LOG_LAG: Final = 0.5

_OOM_SECONDS: Final = 2.0
_PAUSE: Final = 0.05
_REACH_SECONDS: Final = 1.0
_LISTEN_SECONDS: Final = 30.0
_KEPT_SECONDS: Final = 0.2
_ADDRESSES: Final = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"


class ContainerRuntime(Runtime):
    """
    A container of an image, with the limits that the platform sets.

    ``arguments`` are further ones for ``docker run``; ``docker`` may name another engine
    with the same command line.
    """

    log_lag = LOG_LAG

    def __init__(
        self,
        image: str,
        *,
        env: Mapping[str, str] | None = None,
        memory: int = 256,
        arguments: Sequence[str] = (),
        docker: str = "docker",
    ) -> None:
        super().__init__()
        self.image = image
        self.identity = ""
        self._env = dict(env or {})
        self._arguments = (f"--memory={memory}m", f"--memory-swap={memory}m", *arguments)
        self._docker = docker
        self._follower: subprocess.Popen[bytes] | None = None

    def out_of_memory(self) -> bool:
        """Return whether the engine reports exhausted memory, which it notices after a moment."""
        end = time.monotonic() + _OOM_SECONDS
        while time.monotonic() < end:
            if self._engine("inspect", "-f", "{{.State.OOMKilled}}", self.identity) == "true":
                return True
            time.sleep(_PAUSE)
        return False

    def ended(self) -> str:
        """Return how the container's first process ended, as the engine reports it."""
        state = self._engine(
            "inspect", "-f", "{{.State.Running}} {{.State.ExitCode}}", self.identity
        )
        running, _, status = state.partition(" ")
        return f"status {status}" if running == "false" else ""

    def _start(self) -> None:
        variables = [f"--env={name}={value}" for name, value in self._env.items()]
        limits = ("--cap-drop=NET_RAW", "--cap-drop=NET_ADMIN", "--ulimit=nofile=1024:1024")
        port = ("--pids-limit=1024", f"--publish=127.0.0.1::{PORT}")
        options = [*limits, *port, *variables, *self._arguments]
        self.identity = self._engine("run", "--detach", *options, self.image)
        command = [self._docker, "logs", "--follow", self.identity]
        self._follower, self.logs = spawn(command)
        try:
            self.url = f"http://{self._own_address() or self._published_address()}"
        except StartError:
            try:
                if how := self.ended():
                    said = self.logs.last_line(LOG_LAG)
                    raise StartError(f"it ended with {how}{said and ': '}{said}") from None
                raise
            finally:
                self._stop()

    def _own_address(self) -> str:
        """Return the container's own address; empty if it cannot be reached from here."""
        for text in self._engine("inspect", "-f", _ADDRESSES, self.identity).split():
            if _is_reachable(text):
                return f"{text}:{PORT}"
        return ""

    def _published_address(self) -> str:
        """Return the address on this machine that leads to the container, once it listens."""
        address = self._engine("port", self.identity, f"{PORT}/tcp").splitlines()[0]
        host, _, port = address.rpartition(":")
        end = time.monotonic() + _LISTEN_SECONDS
        while not _keeps(host, int(port)) and not self.ended() and time.monotonic() < end:
            time.sleep(_PAUSE)
        return address

    def _stop(self) -> None:
        self._engine("rm", "--force", self.identity)
        if self._follower is not None:
            self._follower.wait()
        if self.logs is not None:
            self.logs.wait_end(_OOM_SECONDS)

    def _pause(self) -> None:
        self._engine("pause", self.identity)

    def _resume(self) -> None:
        self._engine("unpause", self.identity)

    def _engine(self, *arguments: str) -> str:
        command = [self._docker, *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        except FileNotFoundError:
            raise StartError(f"{self._docker}: no such program; is it installed?") from None
        except subprocess.CalledProcessError as error:
            words = " ".join(arguments[:1])
            raise StartError(f"{self._docker} {words} failed: {error.stderr.strip()}") from None
        return done.stdout.strip()


def _is_reachable(text: str) -> bool:
    """Return whether a container's address answers, even if the container does not listen yet."""
    try:
        host = str(ipaddress.ip_address(text))
    except ValueError:
        return False
    end = time.monotonic() + _REACH_SECONDS
    while (left := end - time.monotonic()) > 0:
        try:
            socket.create_connection((host, PORT), left).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            time.sleep(_PAUSE)  # its network may be ready in a moment
        else:
            return True
    return False


def _keeps(host: str, port: int) -> bool:
    """Return whether a connection is kept. A proxy with no listener behind it drops connections."""
    try:
        with socket.create_connection((host, port), _REACH_SECONDS) as connection:
            return not is_readable(connection.fileno(), _KEPT_SECONDS)
    except OSError:
        return False
