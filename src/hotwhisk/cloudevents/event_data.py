"""
Turn the data of an event into a Python value and back, as its media type says.

JSON is a value, a text is a `str`, all else is bytes. So a handler gets the same value whether the
event came in the binary or in the structured form.

Source: JSON Event Format for CloudEvents 1.0.2, section 3.1.
"""

from __future__ import annotations

import re

from hotwhisk import json_codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"
MOST_SHOWN: Final = 60
"""Most characters of a value that an error repeats."""

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - of RFC 9110, section 5.6.2
_MEDIA_TYPE: Final = re.compile(rf"({_TOKEN})/({_TOKEN})[ \t]*(?:;[\t -~]*)?")
_CHARSET: Final = re.compile(r";[ \t]*charset=\"?([^\";, \t]+)", re.IGNORECASE)
_KNOWN_CHARSET: Final = re.compile(
    r"(us-)?ascii|utf-?8|utf-?(16|32)(-?[bl]e)?|latin-?1|iso[-_]?8859-([1-9]|1[013-6])"
    r"|(windows-|cp)125[0-8]",
    re.IGNORECASE,
)
"""
The charsets that are decoded. The sender chooses, and other codecs of Python are not for this: the
time of some, such as punycode, grows with the square of the length.
"""


def is_media_type(text: str) -> bool:
    """Return whether a text is a media type, perhaps with parameters (RFC 2046)."""
    return _MEDIA_TYPE.fullmatch(text) is not None


def is_json(media_type: str) -> bool:
    """Return whether a media type stands for JSON: ``*/json`` or ``*/*+json``."""
    subtype = _parts(media_type)[1]
    return subtype == "json" or subtype.endswith("+json")


def decode_data(body: bytes | memoryview, media_type: str) -> object:
    """
    Return the data in a body of at least one byte.

    Without a media type it is JSON, or else bytes: the SDK for Python sends JSON so.

    Raises:
        ValueError: the body is not what its media type says.
    """
    if is_json(media_type or JSON):
        try:
            return json_codec.loads(body)
        except RecursionError:
            raise ValueError("the data is nested too deeply") from None
        except ValueError as error:
            if not media_type:
                return bytes(body)
            kind = shown(media_type)
            raise ValueError(f"the data is not JSON, but its type is {kind}: {error}") from None
    if not _is_text(media_type):
        return bytes(body)
    charset = _charset(media_type)
    try:
        return str(body, charset)
    except UnicodeDecodeError as error:
        raise ValueError(f"the data is not {shown(media_type)}: {error}") from None


def encode_data(data: object, media_type: str) -> bytes:
    """
    Return the bytes of data.

    Raises:
        TypeError: the data, or a value inside it, does not fit the media type.
        ValueError: a character or a number inside it does not.
    """
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    if is_json(media_type):
        return json_codec.dumps(data)
    if not isinstance(data, str):
        raise TypeError(
            f"the data is {type(data).__name__}, and its type is {shown(media_type)}; "
            "expected bytes or a text, or a type of JSON"
        )
    return data.encode(_charset(media_type))


def shown(value: object) -> str:
    """Return a value for an error text: ASCII, cut short."""
    text = ascii(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _parts(media_type: str) -> tuple[str, str]:
    """Return type and subtype in lower case; both are empty if it is no media type."""
    found = _MEDIA_TYPE.fullmatch(media_type)
    return (found[1].lower(), found[2].lower()) if found else ("", "")


def _is_text(media_type: str) -> bool:
    kind, subtype = _parts(media_type)
    is_xml = subtype == "xml" or subtype.endswith("+xml")
    return kind == "text" or is_xml or bool(_CHARSET.search(media_type))


def _charset(media_type: str) -> str:
    """
    Return the charset that a media type names, or else UTF-8.

    Raises:
        ValueError: it is not one that is decoded.
    """
    found = _CHARSET.search(media_type)
    charset = found[1] if found else "utf-8"
    if _KNOWN_CHARSET.fullmatch(charset) is None:
        raise ValueError(f"{shown(media_type)}: this charset is unknown; expected UTF-8")
    return charset
