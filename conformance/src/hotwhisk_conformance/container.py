"""
Test an image: each start is a container of it.

It is called at the container's own address, as the platform calls it. If that address cannot be
reached (an engine in a virtual machine, or one without root), a port of this machine leads there.
Then a proxy of the engine accepts connections before the runtime listens, and drops them. So in
that case the first call waits until a connection is kept.
"""

from __future__ import annotations

import ipaddress
import select
import socket
import subprocess
import time
from collections.abc import Mapping
from typing import Final

from hotwhisk_conformance.streams import Streams
from hotwhisk_conformance.target import Running, Target, TargetError, output

PORT: Final = 8080

_DAEMON_SECONDS: Final = 2.0
_REACH_SECONDS: Final = 1.0
_LISTEN_SECONDS: Final = 10.0
_KEPT_SECONDS: Final = 0.2
_PAUSE: Final = 0.05
_ADDRESSES: Final = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"


class ImageTarget(Target):
    """An image, run by a container engine with docker's command line."""

    def __init__(self, image: str, engine: str = "docker") -> None:
        self._image = image
        self._engine = engine

    def start(self, env: Mapping[str, str]) -> Running:
        """Run a container."""
        return _Container(self._engine, self._image, env)

    def compiler(self, main: str) -> list[str] | None:
        """Return the image's own entry point with ``-compile``."""
        return [self._engine, "run", "--rm", "--interactive", self._image, "-compile", main]


class _Container(Running):
    patience = _DAEMON_SECONDS

    def __init__(self, engine: str, image: str, env: Mapping[str, str]) -> None:
        self._engine = engine
        variables = [f"--env={name}={value}" for name, value in env.items()]
        options = ["--detach", f"--publish=127.0.0.1::{PORT}", *variables]
        self._identity = output([engine, "run", *options, image]).strip()
        try:
            self.url = f"http://{self._own_address() or self._published_address()}"
        except TargetError:
            there, written = self.is_there(), self.streams()
            self.remove()
            if there:
                raise
            message = (written.stderr or written.stdout).strip()
            raise TargetError(f"the container of {image} has ended: {message}") from None

    def _own_address(self) -> str:
        for text in self._inspect(_ADDRESSES).split():
            if _is_reachable(text):
                return f"{text}:{PORT}"
        return ""

    def _published_address(self) -> str:
        address = output([self._engine, "port", self._identity, f"{PORT}/tcp"]).splitlines()[0]
        host, _, port = address.rpartition(":")
        end = time.monotonic() + _LISTEN_SECONDS
        while not _keeps(host, int(port)) and self.is_there() and time.monotonic() < end:
            time.sleep(_PAUSE)  # a foreign server does not report that it listens
        return address

    def is_there(self) -> bool:
        return self._inspect("{{.State.Running}}") != "false"

    def streams(self) -> Streams:
        done = self._tell("logs")
        texts = (each.decode("utf-8", "backslashreplace") for each in (done.stdout, done.stderr))
        return Streams(*texts)

    def stop(self) -> None:
        self._tell("kill")

    def remove(self) -> None:
        self._tell("rm", "--force")

    def _inspect(self, what: str) -> str:
        return self._tell("inspect", "--format", what).stdout.decode().strip()

    def _tell(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        command = [self._engine, *words, self._identity]
        return subprocess.run(command, capture_output=True, check=False)


def _is_reachable(text: str) -> bool:
    """Return whether a container's address answers, even if the runtime does not listen yet."""
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
            return not select.select([connection], [], [], _KEPT_SECONDS)[0]
    except OSError:
        return False
