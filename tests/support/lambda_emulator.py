"""AWS Lambda's own emulator as a process, in front of a runtime."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.support import tree
from tests.support.clients import lambda_emulator

ROOT = Path(__file__).parents[2]
SECONDS = 30.0
PATH = "/2015-03-31/functions/function/invocations"
CALLS_PORT, API_PORT = 18080, 19001
HOTWHISK = (sys.executable, "-m", "hotwhisk", "lambda")
AS_ONE_USER = (sys.executable, str(ROOT / "tests/support/seccomp.py"), "skip", "setuid,setgid,setgroups")  # fmt: skip
"""
The emulator of Managed Instances gives the runtime another user, who may not be able to read this
Python. So it does not succeed in that.
"""
WITH_VAR = ("unshare", "--mount", "sh", "-c", 'mount --bind "$0" /var && exec "$@"')
"""It starts /var/task/bootstrap, whatever its arguments say. So it gets a /var of its own."""


class Answer(NamedTuple):
    """What a caller of the function gets."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Emulator:
    """
    The emulator with a function; a context manager that leaves no process behind.

    With ``concurrency`` it emulates a Managed Instance. Each emulator has an address of its own, so
    its ports are free.
    """

    def __init__(
        self,
        source: str,
        *,
        concurrency: int = 0,
        runtime: Sequence[str] = HOTWHISK,
        handler: str = "app.handler",
        **variables: str,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hotwhisk-test-"))
        self._source = source
        self._concurrency = concurrency
        self._runtime = [*runtime, *([handler] if handler else [])]
        self._variables = variables
        self.host = ".".join(["127", *(str(1 + each % 254) for each in secrets.token_bytes(3))])

    def __enter__(self) -> Self:
        code = self.folder / "var" / "task"
        code.mkdir(parents=True)
        (code / "app.py").write_text(self._source, encoding="utf-8")
        command = [
            str(lambda_emulator()),
            f"--runtime-interface-emulator-address={self.host}:{CALLS_PORT}",
            f"--runtime-api-address={self.host}:{API_PORT}",
            *self._runtime,
        ]
        environ = {
            **os.environ,
            "HOTWHISK_RUN_DIR": str(self.folder / "run"),
            "PYTHONPATH": str(ROOT / "src"),
            **self._variables,
        }
        if self._concurrency:
            environ["AWS_LAMBDA_MAX_CONCURRENCY"] = str(self._concurrency)
            bootstrap = code / "bootstrap"
            bootstrap.write_text(f"#!/bin/sh\nexec {shlex.join(self._runtime)}\n")
            bootstrap.chmod(0o755)
            command = [*WITH_VAR, str(code.parent), *AS_ONE_USER, *command]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=code, env=environ, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        below = tree.below(self._process.pid)
        self._process.kill()
        self._process.wait(SECONDS)
        for pid in below:  # the emulator ends nothing when it is killed
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @property
    def pid(self) -> int:
        """The process id of the emulator."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What the emulator, the runtime and the function have printed."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def wait_log(self, text: str) -> None:
        """Wait until a text is in the log, which the emulator copies in its own time."""
        deadline = time.monotonic() + SECONDS
        while text not in self.log:
            assert time.monotonic() < deadline, self.log
            select.select([], [], [], 0.01)

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection to the emulator, as soon as it listens."""
        deadline = time.monotonic() + SECONDS
        while True:
            connection = http.client.HTTPConnection(self.host, CALLS_PORT, timeout=SECONDS)
            try:
                connection.connect()
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, self.log
                assert self._process.poll() is None, self.log
                select.select([], [], [], 0.01)
            else:
                return connection

    def call(self, event: object, **headers: str) -> Answer:
        """Call the function."""
        connection = self.connect()
        try:
            body = event if isinstance(event, bytes) else json.dumps(event).encode()
            given = {name.replace("_", "-"): text for name, text in headers.items()}
            connection.request("POST", PATH, body, {"Content-Type": "application/json", **given})
            response = connection.getresponse()
            return Answer(response.status, response.read())
        finally:
            connection.close()
