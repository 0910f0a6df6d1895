"""
The form of messages on the wire, and the check of what an action may have written there.

Pure. One message is one SEQPACKET packet: a JSON array ``[version, kind, {fields}]`` with its
descriptors beside it. A reader uses defaults for fields that are missing, ignores fields that it
does not know, and refuses another version.
"""

from __future__ import annotations

from collections.abc import Collection

from hotwhisk import json_codec
from hotwhisk.ipc.messages import KINDS, Message, ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


VERSION = 2

MAX_NUMBER = 2**64 - 1
"""The largest value of an ``int``: the largest that a field of the scoreboard holds."""

_TYPES = {"int": int, "str": str, "bool": bool, "Sequence[Sequence[int]]": list}
"""What a field holds, by its declaration. A ``bool`` is no ``int`` here, because it is no count."""


def encode(message: Message) -> bytes:
    """Return a message as the bytes of its packet."""
    return json_codec.dumps_short([VERSION, message.kind, vars(message)])


def decode(
    packet: bytes, expected: Collection[type[Message]] | None = None, descriptors: int = 0
) -> Message:
    """
    Return the message in a packet.

    If ``expected`` is given, the sender is not trusted. It may send only these kinds, with values
    of the declared types and meanings, and with as many descriptors as the message has.

    Raises:
        ProtocolError: the packet holds no message that is allowed.
    """
    try:
        read: Any = json_codec.loads_short(packet)
        version, kind, values = read
        for unknown in values.keys() - KINDS[kind].fields:
            del values[unknown]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"not a message of version {VERSION}: {packet[:80]!r}") from error
    if version != VERSION:
        raise ProtocolError(f"message version {str(version)[:80]}, expected {VERSION}")
    message = KINDS[kind].of(values)
    if expected is not None:
        wrong = _check(message, expected, descriptors)
        if wrong:
            raise ProtocolError(f"{kind}: {wrong}: {packet[:200]!r}")
    return message


def _check(message: Message, expected: Collection[type[Message]], descriptors: int) -> str:
    """Say what is wrong with a message; return an empty text if nothing is."""
    if type(message) not in expected:
        return "not for this sender to send"
    for name, value in vars(message).items():
        declared, kind = message.__annotations__[name], type(value)
        if (
            kind is not _TYPES[declared]
            or (kind is int and not 0 <= value <= MAX_NUMBER)
            or (kind is list and not _are_rows(value, message.width))
        ):
            return f"the field {name} is not of type {declared} with values up to 2^64 - 1"
    if descriptors != message.descriptors():
        return f"it came with {descriptors} descriptors, expected {message.descriptors()}"
    return message.check()


def _are_rows(values: list[Any], width: int) -> bool:
    """Return whether a list has lists of ``width`` numbers only."""
    for row in values:
        if type(row) is not list or len(row) != width:
            return False
        for each in row:
            if type(each) is not int or not 0 <= each <= MAX_NUMBER:
                return False
    return True
