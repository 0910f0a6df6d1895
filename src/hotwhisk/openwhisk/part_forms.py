"""
The parts of an answer in parts: which form its client wants, and how a part is written in it.

Pure. docs/streams.md has the rules for users.
"""

from __future__ import annotations

import re
import types
from binascii import b2a_base64
from enum import Enum

from hotwhisk import json_codec
from hotwhisk.errors import BadResult
from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Sequence
    from typing import Final

    Parts = Generator[object] | AsyncGenerator[object]

GENERATORS: Final = (types.GeneratorType, types.AsyncGeneratorType)
"""What calling a function with `yield` gives."""

EVENT_STREAM: Final = "text/event-stream"
LINES: Final = "application/x-ndjson"

_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_BYTES: Final = (bytes, bytearray, memoryview)


class AnswersInParts(Exception):
    """The handler has returned a generator: what it yields is the answer."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.parts = parts


class Layout(Enum):
    """How the parts of one response are told apart."""

    LINES = "each is one line of JSON"
    EVENTS = "each is a server-sent event"
    PLAIN = "a text or bytes are sent as they are; any other part is one line of JSON"


class PartForm(Record):
    """The form of a response in parts: its layout, and the value of its Content-Type."""

    layout: Layout
    media_type: str


_ASKED: Final = {
    EVENT_STREAM: Layout.EVENTS,
    LINES: Layout.LINES,
    "application/ndjson": Layout.LINES,
    "application/jsonl": Layout.LINES,
    "application/x-jsonlines": Layout.LINES,
    "application/json-lines": Layout.LINES,
}
"""The layouts that a client can ask for, by the media type in its Accept header."""


def choose_form(accept: str | None, first: object) -> PartForm:
    """
    Return the form that a client asks for, or else that of the ``first`` part.

    Of several media types in ``accept``, the one with the highest weight wins, then the first.
    """
    best, form = 0.0, None
    for item in (accept or "").split(","):
        media_type, _, parameters = item.partition(";")
        name = media_type.strip(" \t").lower()
        weight = _weight(parameters)
        if name in _ASKED and weight > best:
            best, form = weight, PartForm(_ASKED[name], name)
    if form is not None:
        return form
    if isinstance(first, str):
        return PartForm(Layout.PLAIN, "text/plain; charset=utf-8")
    if isinstance(first, _BYTES):
        return PartForm(Layout.PLAIN, "application/octet-stream")
    return PartForm(Layout.LINES, LINES)


def _weight(parameters: str) -> float:
    """Return the weight of a media type (RFC 9110 §12.4.2); one that is malformed counts as 0."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip(" \t").lower() == "q":
            try:
                weight = float(value)
            except ValueError:
                return 0.0
            return weight if 0.0 <= weight <= 1.0 else 0.0
    return 1.0


def write_part(layout: Layout, part: object) -> bytes:
    """
    Return a part as bytes. In lines and events, bytes are taken as text in UTF-8.

    Raises:
        BadResult: the part has no form in JSON, or is a text that UTF-8 does not have.
    """
    if isinstance(part, _BYTES):
        data = bytes(part)
        if layout is Layout.PLAIN:
            return data
        part = data.decode("utf-8", "replace")
    if layout is Layout.EVENTS:
        return _event(part if isinstance(part, str) else _json(part).decode())
    if layout is Layout.PLAIN and isinstance(part, str):
        return _utf8(part)
    return _json(part) + b"\n"


def error_event(body: bytes) -> bytes:
    """Return the server-sent event with an error, the ``body`` of an answer, as its data."""
    return b"event: error\n" + _event(body.decode().rstrip("\n"))


def _event(text: str) -> bytes:
    """Return a server-sent event with a text as its data, of one or more lines."""
    return _utf8("".join(f"data: {line}\n" for line in _LINE_END.split(text)) + "\n")


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise BadResult(f"the handler yielded a text that UTF-8 does not have: {error}") from None


def _json(part: object) -> bytes:
    try:
        return json_codec.dumps(part)
    except Exception as error:
        json_codec.close_coroutines(part)
        raise BadResult(
            f"the handler yielded a part that JSON does not have: {error}; yield a dict, a list, "
            "a text or bytes"
        ) from error


def joined(parts: Sequence[object]) -> dict[str, object]:
    """
    Return the result that stands for all parts where a platform takes whole results only.

    Its ``body`` is what a web action answers with: the joined text if all parts are texts or bytes,
    else the list of the parts. Bytes that are not UTF-8 are in base64, as a web action returns
    them, with their media type.
    """
    if not all(isinstance(part, (str, *_BYTES)) for part in parts):
        return {"body": [_as_text(part) for part in parts]}
    whole = b"".join(write_part(Layout.PLAIN, part) for part in parts)
    try:
        return {"body": whole.decode()}
    except UnicodeDecodeError:
        return {
            "headers": {"Content-Type": "application/octet-stream"},
            "body": b2a_base64(whole, newline=False).decode(),
        }


def _as_text(part: object) -> object:
    return bytes(part).decode("utf-8", "replace") if isinstance(part, _BYTES) else part
