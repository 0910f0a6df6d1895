"""
Run a program in any language that follows the ActionLoop protocol, in the place of an action.

Such a program reads requests from its standard input and writes responses to descriptor 3, one line
each. The lines have no numbers: a response belongs to a request because it is the next line. So a
line that the program writes must never be taken for the response to another request. The program is
ended and started again if

* it wrote more than one line for a request, or a line that is not JSON;
* it exited, during a request or between two.

If a run takes too long, the worker is killed, and the program with it.

A request that is not JSON is not sent to the program. Its response is checked and sent unchanged.

Readiness: if the image says that programs send an acknowledgement, a program is ready when it has
sent one. OpenWhisk's proxy waits five milliseconds for any other program. Here such a program is
ready when it begins to read (see `Child.wait_reading`). So if it exits before that, the version
never becomes current.

Source: the ActionLoop protocol of the OpenWhisk action interface.
"""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Callable, Mapping

from hotwhisk import json_codec
from hotwhisk.actionloop.child import Child, ChildEnded
from hotwhisk.actionloop.proxy_variables import proxy_variables
from hotwhisk.config.platform import Profile
from hotwhisk.errors import BadResult, LoadFailed
from hotwhisk.openwhisk.answers import Cause, failure_answer
from hotwhisk.openwhisk.bodies import error_body, result_error
from hotwhisk.system.control_group import oom_kills

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, NoReturn

    from hotwhisk.config.config import Config
    from hotwhisk.system.loop_protocol import Loop

KILLED: Final = 9
MOST_QUOTED: Final = 60
"""How many bytes of an invalid response the error message quotes."""


class Program:
    """Runs a program in the place of an action. It has no handler and gets the requests' bodies."""

    handler = None
    is_async = False
    takes_context = False
    startup: tuple[Callable[[], object], ...] = ()

    def __init__(self, entry: str, environ: Mapping[str, str], config: Config) -> None:
        """
        Start the program ``entry`` in its folder, and wait until it is ready.

        ``environ`` is the environment that an action in Python would get.

        Raises:
            LoadFailed: the program cannot be started, or exits before it is ready.
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

    def watch(self, loop: Loop) -> None:
        """Copy the program's output, and notice its exit, between requests too."""
        self._loop = loop
        if self._child is not None:
            self._child.watch(loop, self.end)

    def run(self, body: bytes | memoryview, profile: Profile) -> tuple[int, bytes]:
        """Run a ``/run`` with a JSON body; return the HTTP status and body of the response."""
        request = request_line(body)
        try:
            try:
                answer = self._ready_child().request(request)
            except ChildEnded as ended:
                self._child = None
                if not ended.untouched:
                    raise
                answer = self._ready_child().request(request)
        except ChildEnded as ended:
            self._child = None
            return self._explain(ended, profile)
        except LoadFailed as error:
            status, text = failure_answer(profile, Cause.EXITED)
            return status, error_body(text if profile is Profile.OPENWHISK else str(error))
        try:
            good = is_result(answer)
        except ValueError:
            self.end()  # its next line could be taken for the next response
            good = False
        if self._child is not None:
            self._child.reap()
        if good:
            return 200, answer
        quoted = answer[:MOST_QUOTED].decode(errors="replace").strip()
        bad = BadResult(f"the program answered {quoted!r}; expected a JSON object or array")
        return bad.status, result_error(profile, bad)

    def end(self) -> None:
        """End the program. The next request starts it again."""
        child, self._child = self._child, None
        if child is not None:
            child.end()

    def _ready_child(self) -> Child:
        """Return the program; restart it first if it has exited or written unrequested lines."""
        child = self._child
        if child is None or not child.is_in_sync():
            self.end()
            child = self._child = self._start()
            if self._loop is not None:
                child.watch(self._loop, self.end)
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
        """Return the response to a request during which the program ended."""
        ending = ended.ending
        cause = Cause.KILLED if ending.signal else Cause.EXITED
        kills, self._oom_kills = self._oom_kills, oom_kills()
        if ending.signal == KILLED and self._oom_kills > kills:
            cause = Cause.OUT_OF_MEMORY
        status, text = failure_answer(profile, cause)
        if profile is Profile.PLAIN and cause is not Cause.OUT_OF_MEMORY:
            how = f"was ended, since {ended.reason}," if ended.reason else f"ended with {ending}"
            text = f"the program {how} during this request; a fresh one serves"
        return status, error_body(text)


def environment(environ: Mapping[str, str], config: Config) -> dict[str, str]:
    """
    Return the environment of a program: the proxy's variables, then those of an action in Python.

    Of the image's variables the proxy passes only those that begin with ``__OW_``, and not even
    PATH. Here a program gets them all, because programs need PATH and none depends on the absence
    of a variable.
    """
    return proxy_variables(config) | dict(environ)


def request_line(body: bytes | memoryview) -> bytes:
    """
    Return the JSON body of a ``/run`` as one line.

    A JSON text has line ends only between its parts, so they can be removed. Carriage returns are
    removed too, because some programs take them for the end of a line.
    """
    text = bytes(body).strip(b" \t\r\n")
    if not text.startswith(b"{") or text[1:2] == b"\0":
        # No body, a byte order mark, or an encoding that earlier versions of JSON allowed.
        text = text.decode(json.detect_encoding(text)).strip().encode() if text else b"{}"
    if b"\n" in text or b"\r" in text:
        text = text.replace(b"\n", b"").replace(b"\r", b"")
    return text + b"\n"


def is_result(line: bytes) -> bool:
    """
    Return whether a line is a JSON object or array, without NaN or infinities.

    Raises:
        ValueError: the line is not JSON.
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
    """Refuse an acknowledgement that does not say that the program is ready."""
    try:
        value = json_codec.loads(line)
    except (ValueError, RecursionError) as error:
        _refuse(f"the acknowledgement is not JSON: {error}: {line[:80]!r}")
    if not (type(value) is dict and value.get("ok") is True):
        _refuse("The action did not initialize properly.")


class _Constant(Exception):
    """A number that JSON does not have: NaN or an infinity."""


def _refuse_constant(_: str) -> NoReturn:
    raise _Constant


def _refuse(reason: str, ending: str = "") -> NoReturn:
    how = f" ({ending})" if ending else ""
    raise LoadFailed(f"cannot start action: {reason}{how}")
