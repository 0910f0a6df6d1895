"""
Write attributes of an event into HTTP headers, and read them back.

A header is ASCII, and an attribute is any text. So what is not a printable character of ASCII is
written as ``%XX`` for each byte of its UTF-8 form, and so are the space, the quote and the percent
sign. Older senders put quotes around a value instead; both are read.

Source: HTTP Protocol Binding for CloudEvents 1.0.2, section 3.1.3.2.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_ENCODED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_QUOTED: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPED: Final = re.compile(r"\\(.)")
_UNSAFE: Final = re.compile(rb"[^!#$&-~]")


def encode(text: str) -> bytes:
    """
    Return a text as the value of a header.

    Raises:
        UnicodeEncodeError: the text holds a lone surrogate.
    """
    return _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], text.encode())


def decode(value: str) -> str:
    """
    Return the text that a header means. ``value`` has a character for each byte of the header.

    Raises:
        UnicodeDecodeError: its bytes are not UTF-8.
    """
    if '"' in value:
        value = _QUOTED.sub(lambda found: _ESCAPED.sub(r"\1", found[1]), value)
    return decode_percent(value.encode("latin-1")).decode()


def decode_percent(data: bytes) -> bytes:
    """Return bytes with each ``%XX`` replaced by the byte that it stands for."""
    return _ENCODED.sub(lambda found: bytes.fromhex(found[1].decode()), data)
