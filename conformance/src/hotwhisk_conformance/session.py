"""Run one case on one runtime: send requests, check the answers and the logs."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from typing import Any, Final, NoReturn

import pytest

from hotwhisk_conformance.client import Answer, NoAnswer, NoListener, TooLate, post
from hotwhisk_conformance.streams import Streams
from hotwhisk_conformance.target import Running, Target

TWICE: Final = "Cannot initialize the action more than once."
NO_SOURCE: Final = (
    "Missing main/no code to execute.",
    "The action failed to generate or locate a binary. See logs for details.",
)
NO_DICTIONARY: Final = (
    "The action did not return a dictionary or array.",
    "The action did not return a dictionary.",
)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
PATIENCE: Final = 3.0
"""Seconds after which a runtime without an answer counts as one that never answers."""
ABSENT: Final[Any] = object()
"""The value of a member that is not sent at all."""


class Session:
    """A fresh runtime for one case."""

    def __init__(self, target: Target, timeout: float) -> None:
        self._target = target
        self._timeout = timeout
        self._running: Running | None = None
        self._initialised = False
        self.has_listened = False
        """Whether the runtime accepted a connection."""
        self.unchecked: list[str] = []
        """What could not be checked, so that the case does not count as passed."""

    @property
    def running(self) -> Running:
        """The runtime, started when it is first needed."""
        if self._running is None:
            self._running = self._target.start({})
        return self._running

    def start(self, env: Mapping[str, str]) -> None:
        """Start it with these variables of the container."""
        assert self._running is None, "it runs already"
        self._running = self._target.start(env)
        if not self._running.has_streams:
            not_run(f"needs {' '.join(env)} in the runtime's environment")

    def init(self, code: str | None, main: str = "main", **members: object) -> Answer:
        """Send ``/init`` with code; whether that is base64 is found out as the platform does it."""
        binary = _is_base64(code or "")
        value: dict[str, object] = {"code": code, "main": main, "binary": binary, "env": None}
        return self.post_init({"value": {**value, **members}})

    def must_init(self, code: str, main: str = "main", **members: object) -> None:
        """Send an ``/init`` that must succeed."""
        answer = self.init(code, main, **members)
        assert answer.status == 200, f"/init: expected 200, got {answer}"

    def post_init(self, body: object) -> Answer:
        """Send ``/init`` with this body."""
        answer = self._post("/init", body, self._timeout)
        stale = not self._target.is_fresh and not self._initialised
        if stale and answer.status == 403 and answer.error == TWICE:
            not_run("the server at the URL is initialised already; give --restart-command")
        self._initialised = self._initialised or answer.status == 200
        return answer

    def run(self, value: object, **context: object) -> Answer:
        """Send ``/run`` with an argument, which comes first in the body."""
        return self.post_run({"value": value, **context})

    def post_run(self, body: object) -> Answer:
        """Send ``/run`` with this body."""
        return self._post("/run", body, self._timeout)

    def must_run(self, value: object, expected: object = ABSENT, **context: object) -> Any:
        """
        Send a ``/run`` that must answer 200, with just ``expected`` if it is given; return the
        answer.
        """
        answer = self.run(value, **context)
        assert answer.status == 200, f"/run: expected 200, got {answer}"
        document = answer.document
        if expected is not ABSENT:
            assert _same(document, expected), f"/run: expected {_shown(expected)}, got {answer}"
        return document

    def compile(self, source: bytes, main: str) -> bytes:
        """Return what the runtime's compiler makes of sources on its standard input."""
        command = self._target.compiler(main)
        if command is None:
            not_run("needs the command that compiles: give --compile-command")
        done = subprocess.run(
            command, input=source, capture_output=True, check=False, timeout=self._timeout
        )
        message = done.stderr.decode("utf-8", "replace").strip()
        assert done.returncode == 0, f"-compile {main}: exit code {done.returncode}: {message}"
        return done.stdout

    def times_out(self, path: str, body: object) -> bool:
        """Return whether it listens and yet does not answer within a few seconds."""
        try:
            self._post(path, body, min(self._timeout, PATIENCE))
        except TooLate:
            return True
        except NoAnswer:
            return False
        return False

    def must_write(
        self,
        *,
        sentinels: int = 1,
        stdout: str | None = "",
        stderr: str | None = "",
        either: str | None = None,
    ) -> Streams | None:
        """
        Check the streams: so many sentinels on each, and on each a text.

        An empty text means that there must be nothing but sentinels; None allows anything.
        ``either`` must be on one of them. This ends the runtime. Return None if the streams cannot
        be read.
        """
        if not self.running.has_streams:
            self.unchecked.append("streams and sentinels")
            return None
        written = self.running.settled_streams(sentinels)
        found = written.sentinels()
        assert found == (sentinels, sentinels), (
            f"expected {sentinels} sentinels on stdout and on stderr, found {found[0]} and "
            f"{found[1]}\n{_told(written)}"
        )
        rest = written.without_sentinels()
        _check("stdout", rest.stdout, stdout)
        _check("stderr", rest.stderr, stderr)
        if either is not None:
            assert either in rest.stdout or either in rest.stderr, (
                f"expected {either!r} on stdout or stderr\n{_told(written)}"
            )
        return rest

    def _post(self, path: str, body: object, timeout: float) -> Answer:
        running = self.running
        try:
            answer = post(running.url, path, body, timeout, running.is_there)
        except NoAnswer as error:
            self.has_listened |= not isinstance(error, NoListener)
            if running.has_streams:
                error.add_note(_told(running.streams()))
            if not running.is_there():
                error.args = (f"the runtime has ended; {error}",)
            raise
        self.has_listened = True
        return answer

    def close(self) -> None:
        """End the runtime in any case."""
        if self._running is not None:
            self._running.remove()


def not_run(reason: str) -> NoReturn:
    """Skip the case: it cannot be tried here, and is neither passed nor failed."""
    pytest.skip(f"not run: {reason}")


def error(answer: Answer, *, one_of: tuple[str, ...]) -> None:
    """Require an object whose only member is ``error``, with one of these texts."""
    expected = [{"error": text} for text in one_of]
    assert answer.document in expected, f"expected the error {' or '.join(one_of)}, got {answer}"


def _check(name: str, text: str, wanted: str | None) -> None:
    if wanted == "":
        assert not text, f"{name} must be empty but for sentinels, has:\n{text[:2000]}"
    elif wanted is not None:
        found = re.search(wanted, text) is not None
        assert found, f"{name} must have {wanted!r}, has:\n{text[:2000]}"


def _told(streams: Streams) -> str:
    return f"--- stdout:\n{streams.stdout[:2000]}\n--- stderr:\n{streams.stderr[:2000]}"


def _same(document: object, expected: object) -> bool:
    # In Python 1, 1.0 and True are equal, but not for a caller.
    return document is not ... and json.dumps(document, sort_keys=True) == json.dumps(
        expected, sort_keys=True
    )


def _shown(document: object) -> str:
    text = json.dumps(document, ensure_ascii=False)
    return text if len(text) < 300 else text[:300] + "..."


def _is_base64(code: str) -> bool:
    text = code.strip()
    return bool(text) and len(text) % 4 == 0 and _BASE64.fullmatch(text) is not None
