"""
The bodies of ``/init`` and ``/run``.

Nothing here reads a file, the environment or the clock. The rules are those of the OpenWhisk action
interface. Where its own runtimes disagree, the more lenient rule is used: a caller that another
runtime serves is served here. The answers without an action are in `hotwhisk.openwhisk.answers`.
"""

from __future__ import annotations

from hotwhisk import json_codec
from hotwhisk.config.platform import Profile
from hotwhisk.errors import BadResult, NoCode, NotFound, RequestError, debugger_hint
from hotwhisk.openwhisk.part_forms import GENERATORS, AnswersInParts
from hotwhisk.openwhisk.trial_request import read_trial
from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, NoReturn

    from hotwhisk.cloudevents.cloud_event import CloudEvent
    from hotwhisk.openwhisk.trial_request import TrialRequest

INIT_TWICE: Final = "Cannot initialize the action more than once."
NO_CODE: Final = "Missing main/no code to execute."
NOT_A_RESULT: Final = "The action did not return a dictionary or array."
MOST_SHOWN: Final = 60
"""Most characters of a value that an error repeats."""

CONTEXT_KEYS: Final = frozenset(
    (
        "action_name", "action_version", "activation_id", "api_host", "api_key", "deadline",
        "namespace", "transaction_id",
    )
)  # fmt: skip
"""The keys that the platform sends beside ``value``."""

NOT_AN_ARGUMENT: Final = "The action did not receive a dictionary or array as an argument."

_ABSENT: Final = object()
_INIT_FORM: Final = ' (send {"value": {"code": "…"}}, as hotwhisk replace FILE does)'
_RUN_FORM: Final = ' (send {"value": {…}} with the event, as hotwhisk invoke -p KEY VALUE does)'
_KINDS: Final = {
    dict: "an object", list: "an array", str: "a string", bool: "a boolean",
    int: "a number", float: "a number", type(None): "null",
}  # fmt: skip


class InitRequest(Record):
    """
    The content of an ``/init``: this code, entered at ``main``, with this environment, and tried
    before it becomes current if ``trial`` is not None.
    """

    name: str
    main: str
    code: str
    binary: bool
    env: dict[str, str]
    trial: TrialRequest | None = None


class RunRequest:
    """The content of a ``/run``: the argument of the handler, and the activation's context."""

    __slots__ = ("context", "value")
    cloudevent: CloudEvent | None = None

    def __init__(self, value: object, context: dict[str, str]) -> None:
        self.value = value
        self.context = context


def read_init(body: bytes | memoryview, profile: Profile = Profile.OPENWHISK) -> InitRequest:
    """
    Read the body of an ``/init``.

    Every member but ``code`` may be absent or null. A plain refusal of the body shows its form.

    Raises:
        NoCode: the code is absent, null or empty.
        RequestError: the body is not a JSON object, or a member has another type.
    """
    form = "" if profile is Profile.OPENWHISK else _INIT_FORM
    document = _read_object(body, "/init", form)
    value = document.get("value")
    if value is None:
        raise NoCode(NO_CODE + form)
    if type(value) is not dict:
        raise RequestError(f"/init: `value` must be an object, not {_kind(value)}{form}")
    code = _text(value, "code")
    if not code:
        raise NoCode(NO_CODE + form)
    binary = value.get("binary")
    if binary is not None and type(binary) is not bool:
        raise RequestError(f"/init: `binary` must be true or false, not {_kind(binary)}")
    name, main = _text(value, "name"), _text(value, "main") or "main"
    env, trial = _read_env(value.get("env")), read_trial(value.get("trial"))
    return InitRequest(name, main, code, bool(binary), env, trial)


def read_run(body: bytes | memoryview, profile: Profile = Profile.OPENWHISK) -> RunRequest:
    """
    Read the body of a ``/run``.

    An absent or null ``value`` is the empty object, as the platform's tests send it. Any other key
    is context: a number or boolean as its JSON text (``deadline`` may be a number), null left out.

    In the plain profile an event that was sent without ``value`` around it is refused. Otherwise
    the handler would be called without the event.
    """
    if not body:
        return RunRequest({}, {})
    form = "" if profile is Profile.OPENWHISK else _RUN_FORM
    document = _read_object(body, "/run", form)
    value = document.pop("value", _ABSENT)
    if value is None or value is _ABSENT:
        if value is _ABSENT and profile is Profile.PLAIN and document.keys() - CONTEXT_KEYS:
            _refuse_bare(document)
        value = {}
    elif type(value) is not dict and type(value) is not list:
        if profile is Profile.OPENWHISK:
            raise NotFound(NOT_AN_ARGUMENT)
        raise RequestError(
            f"/run: `value` must be an object or an array, not {_kind(value)}; "
            f'give it a name: {{"value": {{"name": {_example(value)}}}}}'
        )
    context: dict[str, str] = {}
    for key, member in document.items():
        if member is not None:
            text = member if type(member) is str else _json_text(member)
            _check_variable(key, text, "/run")
            context[key] = text
    return RunRequest(value, context)


def write_result(result: object) -> bytes:
    """
    Return the body of a ``/run`` that succeeded: the handler's result on one line.

    If the error has a cause (a set, a coroutine, endless nesting), the caller prints that.

    Raises:
        AnswersInParts: the result is a generator.
        BadResult: it is not a dict, list or tuple, or holds a value without a JSON form.
    """
    if not isinstance(result, (dict, list, tuple)):
        if isinstance(result, GENERATORS):
            raise AnswersInParts(result)
        raise BadResult(
            f"the handler returned {_shown(result)}; expected a dict or a list, "
            "such as {'result': …}"
        )
    try:
        return json_codec.dumps(result) + b"\n"
    except Exception as error:
        if type(error) is ValueError and "float" in str(error):
            raise BadResult(
                "the handler returned a number that JSON does not have (NaN or an infinity); "
                "return None or a string in its place"
            ) from None
        json_codec.close_coroutines(result)
        what = "a value inside its result that JSON does not have"
        raise BadResult(f"the handler returned {what}: {_short(error)}") from error


def result_error(profile: Profile, error: BadResult) -> bytes:
    """Return the body for a bad result: the platform's text, or a text about the returned value."""
    return error_body(NOT_A_RESULT if profile is Profile.OPENWHISK else str(error))


def error_body(text: str) -> bytes:
    """Return the body of every failure: an object with the one key ``error``."""
    return json_codec.dumps({"error": text}) + b"\n"


def exception_body(error: BaseException, profile: Profile, place: str = "") -> bytes:
    """
    Return the body of a ``/run`` whose handler raised an exception.

    Under OpenWhisk it has the exception's text. In the plain profile it has the exception's kind,
    its text and the ``place``, such as "hello.py:7".
    """
    name = type(error).__name__
    try:
        text = (profile is Profile.PLAIN and debugger_hint(error)) or str(error)
    except Exception:  # noqa: BLE001 - `__str__` is the user's code
        text = name if profile is Profile.OPENWHISK else ""
    if profile is Profile.OPENWHISK:
        return error_body(text)
    return error_body((f"{name}: {text}" if text else name) + (f" ({place})" if place else ""))


def _read_object(body: bytes | memoryview, route: str, form: str) -> dict[str, object]:
    """Read a body that must be a JSON object; a refusal ends with the ``form`` of it."""
    try:
        document = json_codec.loads(body)
    except RecursionError:
        raise RequestError(f"{route}: the JSON body is nested too deeply") from None
    except ValueError as error:
        raise RequestError(f"{route}: the body is not JSON: {error}{form}") from None
    if type(document) is not dict:
        raise RequestError(f"{route}: the body must be a JSON object, not {_kind(document)}{form}")
    return document


def _refuse_bare(document: dict[str, object]) -> NoReturn:
    """Refuse an event that was sent without ``value`` around it."""
    keys = ", ".join(f"`{_short_text(key)}`" for key in list(document)[:3])
    more = ", …" if len(document) > 3 else ""
    raise RequestError(
        f"/run: the body has no `value`, but {keys}{more}; the handler gets what is under "
        f'`value`: send {{"value": {_example(document)}}}'
    )


def _example(value: object) -> str:
    """Return a value as JSON if it is short enough for an error text, else a placeholder."""
    try:
        text = json_codec.dumps(value).decode()
    except (ValueError, RecursionError):
        return "…"
    return text if len(text) <= MOST_SHOWN else "{…}" if type(value) is dict else "…"


def _short_text(text: str) -> str:
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _text(value: dict[str, object], key: str) -> str:
    """Return a member as text; refuse any other type."""
    member = value.get(key)
    if member is None:
        return ""
    if type(member) is not str:
        raise RequestError(f"/init: `{key}` must be a string, not {_kind(member)}")
    return member


def _read_env(env: object) -> dict[str, str]:
    """Return the environment of an action, each value as text."""
    if env is None:
        return {}
    if type(env) is not dict:
        raise RequestError(f"/init: `env` must be an object, not {_kind(env)}")
    texts: dict[str, str] = {}
    for name, member in env.items():
        text = member if type(member) is str else _json_text(member)
        _check_variable(name, text, "/init env")
        texts[name] = text
    return texts


def _json_text(member: object) -> str:
    """Return a value other than a string as compact JSON."""
    try:
        return json_codec.dumps(member).decode()
    except (ValueError, RecursionError) as error:
        raise RequestError(f"a value for the environment has no JSON text: {error}") from None


def _check_variable(name: str, text: str, where: str) -> None:
    """Refuse what the operating system cannot hold as an environment variable."""
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


def _shown(result: object) -> str:
    """Describe the returned value of a handler: its type, and its text if that is short."""
    if result is None:
        return "None"
    text = _short(result)
    return f"{type(result).__name__} {text}" if text else type(result).__name__


def _short(value: object) -> str:
    """Return the text of a user's value on one line, cut if it is long; empty if it has none."""
    try:
        text = str(value) if isinstance(value, BaseException) else repr(value)
    except Exception:  # noqa: BLE001 - it is the user's code
        return ""
    text = " ".join(text[: 4 * MOST_SHOWN].split())
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _kind(value: object) -> str:
    """Return the kind of a JSON value in words."""
    return _KINDS.get(type(value), type(value).__name__)
