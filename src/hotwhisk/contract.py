"""
The bodies of ``/init`` and ``/run``, and what is answered on behalf of an action.

Bytes in, values out; values in, bytes out. Nothing here reads a file, the environment or
the clock. The rules are those of the OpenWhisk action interface, and where its own
runtimes disagree, the more lenient one: a caller that was served before is served here.

Error texts come in two profiles. ``PLAIN`` speaks to the person who runs the server;
``OPENWHISK`` repeats the platform's texts and statuses to the letter, because the
platform and its tests compare them. Both stand in one table, ``ANSWERS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hotwhisk import json_codec
from hotwhisk.errors import (
    BadResult,
    BuildFailed,
    HotwhiskError,
    LoadFailed,
    NoCode,
    NotFound,
    RequestError,
)

NO_CODE: Final = "Missing main/no code to execute."
NOT_A_RESULT: Final = "The action did not return a dictionary or array."
NOT_AN_ARGUMENT: Final = "The action did not receive a dictionary or array as an argument."
INIT_DONE: Final = b'{"ok":true}\n'

_KINDS: Final = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


class Profile(StrEnum):
    """
    Whose texts and statuses are answered.
    """

    PLAIN = "plain"
    OPENWHISK = "openwhisk"


class Cause(StrEnum):
    """
    Why an answer is given on behalf of an action that cannot give its own.
    """

    KILLED = "killed"
    """A signal ended the worker that handled the request."""
    EXITED = "exited"
    """The action left its process while it handled the request."""
    TIMED_OUT = "timed-out"
    """The action gave no answer in time and was ended."""
    NO_ACTION = "no-action"
    """Nothing was posted yet."""
    BUSY = "busy"
    """More requests wait than may."""
    LOST = "lost"
    """The worker died that had read half of the request."""
    STOPPING = "stopping"
    """The server is leaving."""
    OUT_OF_MEMORY = "out-of-memory"
    """The kernel ended the worker for want of memory."""
    INIT_TIMED_OUT = "init-timed-out"
    """A posted version was not ready in time."""
    INIT_DIED = "init-died"
    """A posted version ended its process while it was loaded."""
    UNSTABLE = "unstable"
    """The action dies in a loop, and there is no earlier version to go back to."""


_NOT_LOCATED: Final = "The action failed to generate or locate a binary. See logs for details."
_NOT_STARTED: Final = "Cannot start action. Check logs for details."
_OUT_OF_MEMORY: Final = "The action exhausted its memory and was aborted."

ANSWERS: Final[dict[Cause, dict[Profile, tuple[int, str]]]] = {
    Cause.KILLED: {
        Profile.PLAIN: (502, "killed by {detail} during this request; a fresh worker serves"),
        Profile.OPENWHISK: (400, "command exited"),
    },
    Cause.EXITED: {
        Profile.PLAIN: (502, "left with {detail} during this request; a fresh worker serves"),
        Profile.OPENWHISK: (400, "command exited"),
    },
    Cause.TIMED_OUT: {
        Profile.PLAIN: (502, "no answer within {detail}, so ended; a fresh worker serves"),
        Profile.OPENWHISK: (400, "command exited"),
    },
    Cause.NO_ACTION: {
        Profile.PLAIN: (502, "the action failed to locate a binary"),
        Profile.OPENWHISK: (500, "no action defined yet"),
    },
    Cause.BUSY: {
        Profile.PLAIN: (503, "the action is busy and too many requests wait; try again"),
        Profile.OPENWHISK: (403, "System not ready, status is running."),
    },
    Cause.LOST: {
        Profile.PLAIN: (502, "the worker that was reading this request died; send it again"),
        Profile.OPENWHISK: (400, "command exited"),
    },
    Cause.STOPPING: {
        Profile.PLAIN: (503, "the server is stopping"),
        Profile.OPENWHISK: (503, "the server is stopping"),
    },
    Cause.OUT_OF_MEMORY: {
        Profile.PLAIN: (502, _OUT_OF_MEMORY),
        Profile.OPENWHISK: (400, _OUT_OF_MEMORY),
    },
    Cause.INIT_TIMED_OUT: {
        Profile.PLAIN: (502, "not ready within {detail}, so ended; the version before serves"),
        Profile.OPENWHISK: (502, _NOT_STARTED),
    },
    Cause.INIT_DIED: {
        Profile.PLAIN: (502, "ended by {detail} while it was loaded; the version before serves"),
        Profile.OPENWHISK: (502, _NOT_STARTED),
    },
    Cause.UNSTABLE: {
        Profile.PLAIN: (502, "the action keeps dying ({detail}); post a version that works"),
        Profile.OPENWHISK: (500, "no action defined yet"),
    },
}
"""
Statuses and texts by cause and profile. ``{detail}`` is "signal 9 (SIGKILL)", "exit
status 3", "60 s". OpenWhisk reads 503 as "run it elsewhere", so it is for stopping only;
503 in the plain profile has HTTP's own meaning. The 403 text is the Node.js runtime's.
"""


def answer_for(profile: Profile, cause: Cause, detail: str = "") -> tuple[int, str]:
    """
    Status and text of an answer that the action cannot give itself.
    """
    status, text = ANSWERS[cause][profile]
    return status, text.replace("{detail}", detail or "an unknown cause")


def answer_for_init(profile: Profile, error: HotwhiskError) -> tuple[int, str]:
    """
    Status and text of an ``/init`` that failed.

    Under OpenWhisk a version that cannot be built or loaded has a fixed text each, and
    the caller writes ``str(error)`` to stderr; everything else is told as it is.
    """
    if profile is Profile.OPENWHISK and isinstance(error, BuildFailed):
        return error.status, _NOT_LOCATED
    if profile is Profile.OPENWHISK and isinstance(error, LoadFailed):
        return error.status, _NOT_STARTED
    return error.status, str(error)


@dataclass(frozen=True, slots=True)
class InitRequest:
    """
    What an ``/init`` asks for: this code, entered at ``main``, with this environment.
    """

    name: str
    main: str
    code: str
    binary: bool
    env: dict[str, str]


@dataclass(slots=True)
class RunRequest:
    """
    What a ``/run`` asks for: the argument of the handler, and the activation's context.
    """

    value: object
    context: dict[str, str]


def read_init(body: bytes | memoryview) -> InitRequest:
    """
    Read the body of an ``/init``.

    Everything but ``code`` may be absent or null. Code that is absent, null or empty is
    ``NoCode``; a body that is no JSON object, or a member of another type, is
    ``RequestError``.
    """
    document = _read_object(body, "/init")
    value = document.get("value")
    if value is None:
        raise NoCode(NO_CODE)
    if type(value) is not dict:
        raise RequestError(f"/init: `value` must be an object, not {_kind(value)}")
    code = _text(value, "code")
    if not code:
        raise NoCode(NO_CODE)
    binary = value.get("binary")
    if binary is not None and type(binary) is not bool:
        raise RequestError(f"/init: `binary` must be true or false, not {_kind(binary)}")
    return InitRequest(
        name=_text(value, "name"),
        main=_text(value, "main") or "main",
        code=code,
        binary=bool(binary),
        env=_read_env(value.get("env")),
    )


def read_run(body: bytes | memoryview) -> RunRequest:
    """
    Read the body of a ``/run``.

    An absent or null ``value`` is the empty object, as the platform's tests send it. Each
    other top-level key is context: a number or boolean as its JSON text (the platform's
    documents show ``deadline`` as a number), null left out.
    """
    if not body:
        return RunRequest({}, {})
    document = _read_object(body, "/run")
    value = document.pop("value", None)
    if value is None:
        value = {}
    elif type(value) is not dict and type(value) is not list:
        raise NotFound(NOT_AN_ARGUMENT)
    context: dict[str, str] = {}
    for key, member in document.items():
        if member is not None:
            text = member if type(member) is str else _json_text(member)
            _check_variable(key, text, "/run")
            context[key] = text
    return RunRequest(value, context)


def write_result(result: object) -> bytes:
    """
    The body of a ``/run`` that succeeded: the handler's result on one line.

    Raises ``BadResult`` for anything but a dict, list or tuple, and for one that holds
    what JSON cannot say. If its cause is set, something unexpected happened while it was
    written (a set, a coroutine, endless nesting), and the caller prints it for the
    author of the action; a plain wrong type or a NaN has no cause and prints nothing.
    """
    if not isinstance(result, (dict, list, tuple)):
        raise BadResult(NOT_A_RESULT)
    try:
        return json_codec.dumps(result) + b"\n"
    except Exception as error:  # subclasses of dict and list are the user's code
        if type(error) is ValueError and "float" in str(error):
            raise BadResult(NOT_A_RESULT) from None
        raise BadResult(NOT_A_RESULT) from error


def error_body(text: str) -> bytes:
    """
    The body of every failure: an object with the one key ``error``.
    """
    return json_codec.dumps({"error": text}) + b"\n"


def exception_body(error: BaseException) -> bytes:
    """
    The body of a ``/run`` whose handler raised: the exception's text, or its class's name
    where it has none to give.
    """
    try:
        text = str(error)
    except Exception:  # `__str__` is the user's code
        text = ""
    return error_body(text or type(error).__name__)


def _read_object(body: bytes | memoryview, route: str) -> dict[str, object]:
    """
    Read a body that must be a JSON object.
    """
    try:
        document = json_codec.loads(body)
    except RecursionError:
        raise RequestError(f"{route}: the JSON body is nested too deeply") from None
    except ValueError as error:
        raise RequestError(f"{route}: the body is not JSON: {error}") from None
    if type(document) is not dict:
        raise RequestError(f"{route}: the body must be a JSON object, not {_kind(document)}")
    return document


def _text(value: dict[str, object], key: str) -> str:
    """
    A member that is a string if it is there.
    """
    member = value.get(key)
    if member is None:
        return ""
    if type(member) is not str:
        raise RequestError(f"/init: `{key}` must be a string, not {_kind(member)}")
    return member


def _read_env(env: object) -> dict[str, str]:
    """
    The environment of an action, each value as text.
    """
    if env is None:
        return {}
    if type(env) is not dict:
        raise RequestError(f"/init: `env` must be an object, not {_kind(env)}")
    texts: dict[str, str] = {}
    for name, member in env.items():
        text = "" if member is None else member if type(member) is str else _json_text(member)
        _check_variable(name, text, "/init env")
        texts[name] = text
    return texts


def _json_text(member: object) -> str:
    """
    A value that is no string, as compact JSON.
    """
    try:
        return json_codec.dumps(member).decode()
    except (ValueError, RecursionError) as error:
        raise RequestError(f"a value for the environment has no JSON text: {error}") from None


def _check_variable(name: str, text: str, where: str) -> None:
    """
    Refuse what the operating system cannot hold as an environment variable.
    """
    if not name or "=" in name or "\0" in name:
        raise RequestError(
            f"{where}: {name!r} cannot name an environment variable: "
            "it must not be empty nor hold '=' or NUL"
        )
    if "\0" in text:
        raise RequestError(f"{where}: the value of {name!r} holds a NUL character")
    if not (text.isascii() and name.isascii()):
        try:
            f"{name}{text}".encode()
        except UnicodeEncodeError:
            raise RequestError(f"{where}: {name!r} or its value holds a lone surrogate") from None


def _kind(value: object) -> str:
    """
    What a JSON value is, in words.
    """
    return _KINDS.get(type(value), type(value).__name__)
