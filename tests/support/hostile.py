"""
Random packets with random descriptors, as a hostile worker sends them; most are nearly right.

The values come from a pool with numbers that mean something and numbers that overflow. So packets
pass the first check often enough to reach the later ones.
"""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hotwhisk.ipc.packets import VERSION

Fields = Mapping[str, Mapping[str, str]]
"""By kind of message: the declared type of each field."""

NUMBERS = (0, 1, 2, 3, 7, 8, 9, 255, 2**31, 2**32 - 1, 2**48 + 1, 2**63, 2**64 - 1)
WRONG = (-1, 2**64, 10**30, 1.5, float("nan"), float("inf"), True, None, "", "x", [], {}, [[]])
TEXTS = ("", "x" * 3000, "a\r\nb: c", "sha256:0", "sha256:" + "0" * 64, "\ud800", "{}", "\0")
RAW = (b"", b"\0", b"\xff\xfe", b"[" * 5000, b"[1", b"{}", b"null", b'[1,"ready"]', b"1" * 5000)


class Packets:
    """
    An endless source of packets.

    ``fields`` has the fields of each kind of message. ``known`` returns numbers that mean something
    to the server at that moment.
    """

    def __init__(self, seed: int, fields: Fields, known: Callable[[], Sequence[int]]) -> None:
        self._random = random.Random(seed)
        self._fields = fields
        self._kinds = sorted(fields)
        self._known = known

    def packet(self) -> bytes:
        """Return one packet."""
        draw = self._random
        if draw.random() < 0.1:
            return draw.choice((*RAW[1:], draw.randbytes(draw.randrange(1, 80))))
        kind = draw.choice(self._kinds)
        if draw.random() < 0.4:
            values = {name: self._right(declared) for name, declared in self._fields[kind].items()}
        else:
            values = {name: self._any() for name in self._fields[kind] if draw.random() < 0.8}
        version = VERSION if draw.random() < 0.97 else draw.choice(WRONG)
        return json.dumps([version, kind, values]).encode("utf-8", "surrogatepass")

    def descriptors(self) -> list[int]:
        """Return up to three new descriptors of all sorts, which the caller must close."""
        draw = self._random
        count = draw.choice((0, 0, 0, 1, 1, 2, 3))
        return [draw.choice(MAKERS)() for _ in range(count)]

    def _right(self, declared: str) -> Any:
        draw = self._random
        if declared == "int":
            return self._number()
        if declared == "bool":
            return draw.random() < 0.5
        if declared == "str":
            return draw.choice(TEXTS)
        width = draw.choice((2, 2, 2, 1, 4))
        return [[self._number() for _ in range(width)] for _ in range(draw.randrange(4))]

    def _number(self) -> int:
        known = self._known()
        if known and self._random.random() < 0.6:
            return self._random.choice(known)
        return self._random.choice(NUMBERS)

    def _any(self) -> Any:
        draw = self._random
        if draw.random() < 0.6:
            return self._right(draw.choice(("int", "bool", "str", "Sequence[Sequence[int]]")))
        return draw.choice(WRONG)


def _memory_file() -> int:
    descriptor = os.memfd_create("hostile", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, 4096)
    return descriptor


def _unsealable() -> int:
    return os.memfd_create("hostile", os.MFD_CLOEXEC)


def _null() -> int:
    return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)


def _socket() -> int:
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC).detach()


def _own_pidfd() -> int:
    return os.pidfd_open(os.getpid())


MAKERS = (_memory_file, _memory_file, _unsealable, _null, _socket, _own_pidfd)
