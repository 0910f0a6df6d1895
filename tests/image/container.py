"""A container of the image, seen from outside: HTTP, the engine, and /proc of this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any, Self

from tests.support.client import Address
from tests.support.server import ROOT

SLIM, COMPAT, PRELOAD = "hotwhisk:slim", "hotwhisk:compat", "hotwhisk:preload"
HARDENED = (
    "--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only",
    "--tmpfs=/tmp:exec,mode=1777", "--pids-limit=1024", "--ulimit=nofile=1024:1024",
    "--user=12345",
)  # fmt: skip
LISTENS = 30.0
"""Seconds until a container serves, on a machine that does other things too."""


def docker(*arguments: str, content: bytes | None = None, check: bool = True) -> str:
    """Return the engine's output; an error of the engine fails the test."""
    done = subprocess.run(["docker", *arguments], input=content, capture_output=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(arguments)}:\n{done.stderr.decode()[-3000:]}")
    return done.stdout.decode().strip()


def with_index(image: str) -> str:
    """Build the image in a company that has a package index of its own: this machine's."""
    tag = f"hotwhisk-test:{image.rpartition(':')[2]}"
    command = [sys.executable, str(ROOT / "packaging" / "builder.py"), image, tag]
    subprocess.run(command, check=True, capture_output=True)
    return tag


def in_image(image: str, *command: str, options: tuple[str, ...] = ()) -> str:
    """Run a command in the image instead of the server; return its output."""
    return docker("run", "--rm", *options, f"--entrypoint={command[0]}", image, *command[1:])


def python_of(image: str) -> str:
    """Return the version of its Python, as 3.12."""
    return in_image(image, "python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")


def derived(image: str, name: str, *lines: str) -> str:
    """
    Build an image from another one by a Dockerfile, without any file beside it; return
    its name.
    """
    tag = f"hotwhisk-test:{name}"
    content = "\n".join((f"FROM {image}", *lines, ""))
    docker("build", "--quiet", "--tag", tag, "-", content=content.encode())
    return tag


def wait_serving(identity: str) -> Address:
    """Wait until hotwhisk in a container listens; return the published address."""
    host, _, port = docker("port", identity, "8080/tcp").splitlines()[0].rpartition(":")
    end = time.monotonic() + LISTENS
    # The engine's own proxy listens from the first moment: hotwhisk answers a status.
    while not docker("exec", identity, "hotwhisk", "status", "--json", check=False):
        assert time.monotonic() < end, f"it does not serve\n{logs(identity)}"
    return host, int(port)


def logs(identity: str) -> str:
    """Return both streams of a container."""
    done = subprocess.run(["docker", "logs", identity], capture_output=True, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


class Container:
    """One container, hardened by default; a context manager that leaves none behind."""

    def __init__(
        self, image: str = SLIM, *options: str, command: tuple[str, ...] = (), hard: bool = True
    ) -> None:
        options = (*(HARDENED if hard else ()), "--publish=127.0.0.1::8080", *options)
        self.identity = docker("run", "--detach", *options, image, *command)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            error.add_note(self.logs())
        docker("rm", "--force", self.identity)

    @property
    def address(self) -> Address:
        """Wait until it listens; return the published address."""
        return wait_serving(self.identity)

    @property
    def pid(self) -> int:
        """Return the pid of its process 1 on this machine."""
        return int(docker("inspect", "--format={{.State.Pid}}", self.identity))

    def logs(self) -> str:
        """Return both streams."""
        return logs(self.identity)

    def status(self) -> dict[str, Any]:
        """Return the server's status."""
        text = docker("exec", self.identity, "hotwhisk", "status", "--json")
        found: dict[str, Any] = json.loads(text)
        return found

    def wait(self) -> int:
        """Wait until it ends; return the exit code."""
        done = subprocess.run(
            ["docker", "wait", self.identity], capture_output=True, timeout=40, check=True
        )
        return int(done.stdout)
