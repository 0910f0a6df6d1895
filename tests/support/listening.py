"""Read the addresses on which a process listens from /proc."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

LISTEN = "0A"
WORD = 8
"""Hexadecimal digits of 32 bits, which /proc writes in the order of the machine."""


def listening_addresses(pid: int) -> set[str]:
    """Return the addresses on which this process holds a listening TCP socket."""
    own = set(_inodes(pid))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and fields[9] in own:
                found.add(_address(fields[1].partition(":")[0]))
    return found


def _inodes(pid: int) -> Iterator[str]:
    folder = f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        try:
            target = os.readlink(f"{folder}/{name}")
        except FileNotFoundError:  # closed meanwhile
            continue
        if target.startswith("socket:["):
            yield target[len("socket:[") : -1]


def _address(digits: str) -> str:
    words = [digits[at : at + WORD] for at in range(0, len(digits), WORD)]
    packed = b"".join(int(word, 16).to_bytes(4, "little") for word in words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
