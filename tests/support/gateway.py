"""A gateway as a real process, and requests to it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import select
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.support import tree

HOTWHISK_UP = (sys.executable, "-m", "hotwhisk", "up")
OWN_MOUNTS = ("unshare", "--mount", *(() if os.getuid() == 0 else ("--user", "--map-root-user")))
"""A command that runs another with mounts of its own. It is in util-linux."""
START_SECONDS = 20.0
STOP_SECONDS = 20.0


class Answer(NamedTuple):
    """The answer to a request."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


class _Output:
    """Reads a pipe all the time, so that the process never waits for a test to read it."""

    def __init__(self, pipe: int) -> None:
        self.text = b""
        self._pipe = pipe
        self._known = 0
        self._ended = False
        self._changed = threading.Condition()
        threading.Thread(target=self._read, name="output of a gateway", daemon=True).start()

    def wait_more(self, timeout: float) -> bool:
        """Wait until there is more than at the last call; return False if there is nothing more."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.text) > self._known or self._ended, timeout)
            before, self._known = self._known, len(self.text)
            return self._known > before

    def _read(self) -> None:
        while data := os.read(self._pipe, 65536):
            with self._changed:
                self.text += data
                self._changed.notify_all()
        os.close(self._pipe)
        with self._changed:
            self._ended = True
            self._changed.notify_all()


class GatewayProcess:
    """A running ``hotwhisk up`` with a data folder of its own; a context manager that ends it."""

    def __init__(
        self,
        *arguments: str,
        data: Path | None = None,
        env: Mapping[str, str] | None = None,
        command: tuple[str, ...] = HOTWHISK_UP,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hotwhisk-test-")) if data is None else data
        self.data = self.folder / "data"
        self.command = [*command, "--data", str(self.data), "--port", "0", *arguments]
        self._env = {**os.environ, **(env or {})}
        self.url = ""

    def __enter__(self) -> Self:
        self.log = self.folder / "log"
        reading, writing = os.pipe()
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=writing,
            env=self._env,
            cwd=self.folder,
        )
        os.close(writing)
        self._output = _Output(reading)
        try:
            self.url = self.wait_line(r"(http://\S+)", START_SECONDS)
        except BaseException:
            self.process.kill()
            raise
        self.port = int(self.url.rpartition(":")[2])
        self.auth = self._key()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        finally:
            self.process.kill()
            self.process.wait()

    def wait_line(self, pattern: str, timeout: float) -> str:
        """Wait until the log has a line that matches; return its first group."""
        deadline = time.monotonic() + timeout
        while not (found := re.search(pattern, self.stderr())):
            more = self.read_more(deadline - time.monotonic())
            assert more, f"no {pattern!r} within {timeout} s in: {self.stderr()}"
        return found[1] if found.groups() else found[0]

    def read_more(self, timeout: float) -> bool:
        """Wait until more is written to standard error; return False if nothing is in time."""
        return self._output.wait_more(max(0.0, timeout))

    def stderr(self) -> str:
        """Return what was written to standard error."""
        return self._output.text.decode(errors="replace")

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        auth: str | None = None,
    ) -> Answer:
        """
        Send a request, with the key of the namespace guest unless ``auth`` is another or empty.

        A body that is not bytes is sent as JSON.
        """
        sent = {"Content-Type": "application/json", **(headers or {})}
        key = self.auth if auth is None else auth
        if key:
            sent.setdefault("Authorization", "Basic " + base64.b64encode(key.encode()).decode())
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        try:
            connection.request(method, path, content, sent)
            response = connection.getresponse()
            named = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, named, response.read())
        finally:
            connection.close()

    def api(self, method: str, path: str, body: object = None, **options: Any) -> Answer:
        """Send a request below ``/api/v1/namespaces/_``."""
        return self.request(method, f"/api/v1/namespaces/_/{path}", body, **options)

    def create(self, name: str, code: str, **fields: object) -> Answer:
        """Create or update an action with a Python source; ``fields`` are further ones of it."""
        body = {"exec": {"kind": "python:3", "code": code}, **fields}
        answer = self.api("PUT", f"actions/{name}?overwrite=true", body)
        assert answer.status == 200, answer
        return answer

    def invoke(self, name: str, argument: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Call an action, wait for its end, and return its record."""
        answer = self.api("POST", f"actions/{name}?blocking=true", dict(argument or {}))
        assert answer.status in (200, 502), answer
        record: dict[str, Any] = answer.json
        return record

    def query(self, statement: str, *values: object) -> Any:
        """Return the first value that a statement finds in the database."""
        connection = sqlite3.connect(f"file:{self.data}/hotwhisk.db?mode=ro", uri=True)
        try:
            row = connection.execute(statement, values).fetchone()
        finally:
            connection.close()
        return row[0] if row else None

    def own_memory(self) -> int:
        """Return the bytes of memory of the gateway's own process (PSS)."""
        return tree.pss([self.process.pid])

    def memory(self) -> int:
        """Return the bytes of memory of the gateway, its launcher, and all servers (PSS)."""
        return tree.pss(tree.below(self.process.pid))

    @staticmethod
    def watch_end(pid: int, timeout: float = 10.0) -> Callable[[], None]:
        """Return a function that waits until a process that lives now has ended."""
        pidfd = os.pidfd_open(pid)

        def wait() -> None:
            ended = select.select([pidfd], [], [], timeout)[0]
            os.close(pidfd)
            assert ended, f"process {pid} lives on"

        return wait

    def _key(self) -> str:
        with sqlite3.connect(f"file:{self.data}/hotwhisk.db?mode=ro", uri=True) as connection:
            row = connection.execute("SELECT uuid, key FROM namespaces").fetchone()
        connection.close()
        return ":".join(row)
