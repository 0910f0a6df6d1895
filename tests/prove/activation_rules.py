"""
Compute the expected result of an activation: a pure function of its event.

Nothing here calls the runtime or the model of the invoker. Only one rule is ours and not the
platform's: an answer is compact JSON and a newline. So ``size`` is known to the byte.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

LIMIT = 1 << 20
"""Most bytes of an answer that the platform takes; a longer one is cut."""

LONGEST = 16 * 1024
"""Most bytes of a log line; an engine cuts a longer one."""

NOT_A_RESULT = "The action did not return a dictionary or array."
NOT_AN_ARGUMENT = "The action did not receive a dictionary or array as an argument."
EXITED = "command exited"
AFTER_ERROR = "The action did not initialize or run as expected. Log data might be missing."
LOG_LIMIT = 1 << 20
"""Most bytes of log that these actions may write."""

TRUNCATED = (
    f"Logs were truncated because the total bytes size exceeds the limit of {LOG_LIMIT} bytes."
)
STATUS = ("success", "application error", "action developer error", "whisk internal error")

Event = Mapping[str, object]


@dataclass(frozen=True)
class Trace:
    """
    A traceback in a log: its first line if there are frames to show, and its last line.

    Notes of the JSON encoder may follow the last line.
    """

    last: str | re.Pattern[str]
    frames: bool = True

    def ends(self, line: str) -> bool:
        """Return whether ``line`` is the last line of this traceback."""
        return line == self.last if isinstance(self.last, str) else bool(self.last.fullmatch(line))


@dataclass(frozen=True)
class Expected:
    """
    The expected record.

    ``rest`` are lines beyond the limit of the log, and ``sentinels`` is their number on each
    stream.
    """

    code: int
    result: object
    size: int | None = None
    out: tuple[str, ...] = ()
    err: tuple[str | Trace, ...] = ()
    rest: tuple[str, ...] = ()
    sentinels: int = 1
    timed_out: bool = False

    @property
    def response(self) -> dict[str, object]:
        """Return the response as the record shows it."""
        shown: dict[str, object] = {
            "status": STATUS[self.code],
            "statusCode": self.code,
            "success": self.code == 0,
            "result": self.result,
        }
        return shown if self.size is None else {**shown, "size": self.size}


def answer(result: object) -> bytes:
    """Return the body of an answer."""
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"


def refusal(text: str) -> tuple[int, object, int]:
    """Return code, result and size of an answer with an error's status."""
    return 2, {"error": text}, len(answer({"error": text}))


def expect(event: Event, environment: Mapping[str, str]) -> Expected:
    """Return what must come of an event; ``environment`` is what its run must find."""
    doing = event["do"]
    code, result, size = _result(event, environment)
    out, err = lines_of(event.get("say", ()))
    trace: tuple[Trace, ...] = ()
    if doing == "fail":
        text = event["text"]
        shown = repr(text) if event["error"] == "KeyError" else text
        trace = (Trace(f"{event['error']}: {shown}"),)
    elif doing == "unfit" and event["which"] in UNFIT:
        trace = (Trace(UNFIT[str(event["which"])], frames=False),)
    whole = Expected(code, result, size, out, (*err, *trace))
    return _limited(whole) if sum(map(len, out + err)) > LOG_LIMIT else whole


def _limited(whole: Expected) -> Expected:
    """Return the rest of a log that is too long, which says so; all of it is on one stream."""
    lines = whole.out or whole.err
    taken = size = 0
    for line in lines:
        size += len(line) + 1
        if size > LOG_LIMIT:
            break
        taken += 1
    kept, rest = lines[:taken], lines[taken + 1 :]
    if whole.out:
        return replace(whole, out=kept, err=(TRUNCATED,), rest=rest)
    return replace(whole, err=(*kept, TRUNCATED), rest=rest)


UNFIT: dict[str, str | re.Pattern[str]] = {
    "set": "TypeError: Object of type set is not JSON serializable",
    "object": "TypeError: Object of type Endless is not JSON serializable",
    "cycle": re.compile("RecursionError: .* while encoding a JSON object"),
}
"""
Results that have no JSON form, and the error for their author.

NaN and infinity are not among them: for those there is no error.
"""


def _result(event: Event, environment: Mapping[str, str]) -> tuple[int, object, int | None]:
    doing, given = event["do"], event.get("given")
    if doing in ("bare", "unfit"):
        return refusal(NOT_A_RESULT)
    if doing in ("exit", "die", "gather"):
        return refusal(EXITED)
    if doing == "error":
        size = len(answer({"id": event["id"], "error": given}))
        return 1, {"error": given}, size
    if doing == "fail":
        text = str(event["text"])
        shown = {"error": repr(text) if event["error"] == "KeyError" else text}
        return 1, shown, len(answer(shown))
    result = _value(event, environment)
    body = answer(result)
    if len(body) <= LIMIT:
        return 0, result, len(body)
    begin = body[:LIMIT].decode("utf-8", "replace")
    text = (
        f"The action produced a response that exceeded the allowed length: {len(body)} > {LIMIT} "
        f"bytes. The truncated response was: {begin}"
    )
    return 1, {"error": text}, len(body)


def _value(event: Event, environment: Mapping[str, str]) -> object:
    """Return what the handler returns."""
    doing, given = event["do"], event.get("given")
    if doing in ("list", "tuple"):
        return [event["id"], given]
    if doing == "surrogate":
        return {"id": event["id"], "text": "half \ud83d of it"}
    if doing == "big":
        return {"text": str(event["letter"]) * int(str(event["count"]))}
    if doing == "measure":
        blob = str(event["blob"])
        return [len(blob), zlib.crc32(blob.encode())]
    if doing == "dawdle":
        return [None, event["id"]]
    names = event.get("names", ())
    assert isinstance(names, list | tuple)
    found = [environment.get(name) for name in names]
    return {"id": event["id"], "environment": found, "given": given}


def lines_of(pieces: object) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """
    Return the lines of both streams.

    If a last line has no line break, it gets one before the sentinel, after a death too.
    """
    assert isinstance(pieces, list | tuple)
    streams = []
    for name in ("stdout", "stderr"):
        text = "".join(text for stream, text in pieces if stream == name)
        *lines, rest = text.split("\n")
        if rest:
            lines.append(rest)
        streams.append(tuple(piece.strip() for line in lines for piece in _engine_cuts(line)))
    return streams[0], streams[1]


def _engine_cuts(line: str) -> list[str]:
    return [line[at : at + LONGEST] for at in range(0, len(line) or 1, LONGEST)]
