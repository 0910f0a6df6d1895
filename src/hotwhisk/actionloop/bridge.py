"""
The bridge to programs in any language that speak ActionLoop.

Such a program reads requests from its standard input, one line each, and writes answers to
descriptor 3, one line each. There are no numbers on them: an answer belongs to a request because
it is the next line. So this module asks one question of everything: could a line be read as an
answer to something else? Where it could, the program is ended, and a fresh one takes its place:

* it said more than it was asked for, or something that is no JSON;
* it died, during a request or between two;
* it was given up: then the worker is killed, and the program with it.

A request that is no JSON never reaches it. What it answers is checked and passed on to the byte.

Readiness. A program that acknowledges is ready when it says so. Of one that does not, the first
to serve it waited five milliseconds and hoped; here it is ready when it begins to read (see
`Child.wait_reading`), so one that dies before that never becomes current.

Source: the ActionLoop protocol of the OpenWhisk action interface.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NoReturn

from hotwhisk import json_codec
from hotwhisk.actionloop.child import Child, ChildEnded
from hotwhisk.errors import BadResult, LoadFailed
from hotwhisk.openwhisk.answers import Cause, Profile, failure_response
from hotwhisk.openwhisk.bodies import error_body, result_error
from hotwhisk.system.control_group import oom_kills

if TYPE_CHECKING:
    from hotwhisk.config.config import Config
    from hotwhisk.system.loop import Loop

PROXY_VERSION: Final = "1.17.1"
"""The version of the ActionLoop proxy whose rules are kept; programs may ask for it."""

KILLED: Final = 9
LONGEST_SAID: Final = 60
"""Bytes of an answer that is none which the error repeats."""


class Program:
    """A program in the place of an action. It has no handler and gets requests as they came."""

    handler = None
    is_async = False
    takes_context = False
    startup: tuple[Callable[[], object], ...] = ()

    def __init__(self, entry: str, environ: Mapping[str, str], config: Config) -> None:
        """
        Start the program ``entry`` in its folder and wait until it is ready. ``environ`` is
        what a Python action would see.

        Raises:
            LoadFailed: it cannot be started, or does not come to be ready.
        """
        self._entry = os.path.realpath(entry)
        self._acknowledges = config.wait_for_ack
        self._relay = config.openwhisk
        self._environ = environment(environ, config)
        self._loop: Loop | None = None
        os.chdir(os.path.dirname(self._entry))
        self._oom_kills = oom_kills()
        self._child: Child | None = self._start()
        atexit.register(self.end)

    def attend(self, loop: Loop) -> None:
        """Look after the program between requests too, because it is current here."""
        self._loop = loop
        if self._child is not None:
            self._child.attend(loop, self.end)

    def exchange(self, body: bytes | memoryview, profile: Profile) -> tuple[int, bytes]:
        """Answer one ``/run``, whose body is known to be JSON: the HTTP status and body."""
        request = request_line(body)
        try:
            try:
                answer = self._fresh().ask(request)
            except ChildEnded as ended:
                self._child = None
                if not ended.untouched:
                    raise
                answer = self._fresh().ask(request)
        except ChildEnded as ended:
            self._child = None
            return self._explain(ended, profile)
        except LoadFailed as error:
            status, text = failure_response(profile, Cause.EXITED)
            return status, error_body(text if profile is Profile.OPENWHISK else str(error))
        try:
            good = is_result(answer)
        except ValueError:
            self.end()  # what it says next cannot be told from the next answer
            good = False
        if self._child is not None:
            self._child.reap()
        if good:
            return 200, answer
        said = answer[:LONGEST_SAID].decode(errors="replace").strip()
        none = BadResult(f"the program answered {said!r}; expected a JSON object or array")
        return none.status, result_error(profile, none)

    def end(self) -> None:
        """End the program; the next request would start it again."""
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _fresh(self) -> Child:
        """Return the program, started again if its answers can no longer be believed."""
        child = self._child
        if child is None or not child.is_in_step():
            self.end()
            child = self._child = self._start()
            if self._loop is not None:
                child.attend(self._loop, self.end)
        return child

    def _start(self) -> Child:
        try:
            child = Child(self._entry, self._environ, relay=self._relay)
        except OSError as error:
            _refuse(error.strerror or str(error))
        try:
            if self._acknowledges:
                check_acknowledgement(child.wait_acknowledgement())
            else:
                child.wait_reading()
        except ChildEnded as ended:
            if self._acknowledges:
                _refuse("Command exited abruptly during initialization.", str(ended))
            _refuse("command exited", str(ended))
        except BaseException:
            child.end()
            raise
        return child

    def _explain(self, ended: ChildEnded, profile: Profile) -> tuple[int, bytes]:
        """Return the answer to the request that the program did not survive."""
        ending = ended.ending
        cause = Cause.KILLED if ending.signal else Cause.EXITED
        kills, self._oom_kills = self._oom_kills, oom_kills()
        if ending.signal == KILLED and self._oom_kills > kills:
            cause = Cause.OUT_OF_MEMORY
        status, text = failure_response(profile, cause)
        if profile is Profile.PLAIN and cause is not Cause.OUT_OF_MEMORY:
            how = f"was ended, since {ended.reason}," if ended.reason else f"ended with {ending}"
            text = f"the program {how} during this request; a fresh one serves"
        return status, error_body(text)


def environment(environ: Mapping[str, str], config: Config) -> dict[str, str]:
    """
    What a program gets: all that a Python action would, and the proxy's own variables below it.

    The proxy passes nothing of the image's but what begins with ``__OW_``, not even PATH; no
    program can depend on a variable's absence as one does on PATH.
    """
    return proxy_variables(config) | dict(environ)


def proxy_variables(config: Config) -> dict[str, str]:
    """Return the variables that the official proxy puts into the environment of an action."""
    own = {"__OW_PROXY_VERSION": PROXY_VERSION}
    if config.execution_env:
        own["__OW_EXECUTION_ENV"] = config.execution_env
    if config.wait_for_ack:
        own["__OW_WAIT_FOR_ACK"] = "1"
    return own


def python_variables(config: Config) -> dict[str, str]:
    """
    Return the variables of the proxy for an action in Python.

    They include the variables that the script of the official image adds for Python. If the image
    does not state its name, the action finds the name of the official image.
    """
    name = f"openwhisk/action-python-v{sys.version_info[0]}.{sys.version_info[1]}"
    own = {"__OW_EXECUTION_ENV": name, "PYTHONIOENCODING": "UTF-8"}
    return own | proxy_variables(config)


def request_line(body: bytes | memoryview) -> bytes:
    """
    The body of a ``/run`` as one line, else as it came.

    A JSON text holds line ends between its parts only, so they can go. Carriage returns go as
    well: to many a program they end a line.
    """
    text = bytes(body).strip(b" \t\r\n")
    if not text.startswith(b"{") or text[1:2] == b"\0":
        # No body at all, a byte order mark, or an encoding that JSON had long ago.
        text = text.decode(json.detect_encoding(text)).strip().encode() if text else b"{}"
    if b"\n" in text or b"\r" in text:
        text = text.replace(b"\n", b"").replace(b"\r", b"")
    return text + b"\n"


def is_result(line: bytes) -> bool:
    """
    Whether a line is the JSON of an object or an array, without NaN or infinities.

    Raises ``ValueError`` if it is no JSON.
    """
    if b"\0" in line:
        raise ValueError("NUL in an answer")
    try:
        value = json_codec.loads(line)
        if b"NaN" in line or b"Infinity" in line:  # perhaps in a string
            try:
                json.loads(line, parse_constant=_refuse_constant)
            except _Constant:
                return False
    except RecursionError:
        return False
    return type(value) is dict or type(value) is list


def check_acknowledgement(line: bytes) -> None:
    """Raise ``LoadFailed`` unless a program says that it is ready."""
    try:
        said = json_codec.loads(line)
    except (ValueError, RecursionError) as error:
        _refuse(f"the acknowledgement is not JSON: {error}: {line[:80]!r}")
    if not (type(said) is dict and said.get("ok") is True):
        _refuse("The action did not initialize properly.")


class _Constant(Exception):
    """The error for a number that JSON does not have."""


def _refuse_constant(_: str) -> NoReturn:
    raise _Constant


def _refuse(reason: str, ending: str = "") -> NoReturn:
    how = f" ({ending})" if ending else ""
    raise LoadFailed(f"cannot start action: {reason}{how}")
