"""Run the imports of an action in a process of their own, and measure each of them."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import hotwhisk
from hotwhisk.errors import BuildFailed

_LINE: Final = re.compile(r"^import time:\s+(\d+) \|\s+(\d+) \|( +)(\S+)$")
_MARK: Final = "-- the action --"
_END: Final = "-- the end --"

_LOAD: Final = f"""
import sys, traceback
sys.path.insert(0, sys.argv[1])
import hotwhisk.openwhisk.context
import hotwhisk, hotwhisk.action.action as action, hotwhisk.artifact.artifact as artifact
from hotwhisk.errors import VersionError
hotwhisk.start = action.register_handler
with open(sys.argv[2], "rb") as file:
    unpacked = artifact.unpack(file.read(), sys.argv[3])
sys.stderr.write({_MARK + chr(10)!r})
sys.stderr.flush()
try:
    action.load(unpacked, sys.argv[4])
except VersionError as error:  # the traceback of the action is printed already
    sys.exit(str(error))
sys.stderr.write({chr(10) + _END + chr(10)!r})
"""


@dataclass(frozen=True, slots=True)
class Import:
    """
    An import, with the imports that it made in turn as ``parts``.

    ``milliseconds`` is the time for all of it.
    """

    module: str
    milliseconds: float
    parts: tuple[Import, ...] = ()


def profile(content: bytes, main: str = "main") -> tuple[Import, ...]:
    """
    Load an artifact and return the imports that it makes, in their order.

    Raises:
        BuildFailed: it cannot be loaded, and why.
    """
    with tempfile.TemporaryDirectory(prefix="hotwhisk-inspect-") as work:
        done = subprocess.run(
            prepare(content, main, work),
            cwd=work, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, errors="replace", check=False,
        )  # fmt: skip
    return read(done.stderr)


def prepare(content: bytes, main: str, work: str) -> list[str]:
    """
    Write an artifact into the folder ``work``, and return the command that loads it.

    What the command writes to standard error is for `read`.
    """
    file = Path(work, "artifact")
    file.write_bytes(content)
    home = str(Path(hotwhisk.__file__).parents[1])
    return [
        sys.executable, "-X", "importtime", "-c", _LOAD, home, str(file), f"{work}/code", main
    ]  # fmt: skip


def read(written: str) -> tuple[Import, ...]:
    """
    Return the imports that a command of `prepare` has reported.

    Raises:
        BuildFailed: it did not come to its end, and why.
    """
    before, marked, rest = written.partition(f"{_MARK}\n")
    lines, loaded, _ = rest.partition(f"{_END}\n")
    if not loaded:
        said = (rest if marked else before).splitlines()
        own = [line for line in said if not line.startswith("import time:")]
        if not own:
            raise BuildFailed("its imports end the process here, and print nothing")
        raise BuildFailed("its imports fail here:\n" + "\n".join(own[-12:]))
    return tree_of(lines.splitlines())


def tree_of(lines: Iterable[str]) -> tuple[Import, ...]:
    """
    Return the imports in the output of ``-X importtime``.

    An import is reported when it is over, so after those that it made, which are indented more.
    """
    waiting: list[tuple[int, Import]] = []
    for match in filter(None, map(_LINE.match, lines)):
        depth = len(match[3]) // 2
        first = len(waiting)
        while first and waiting[first - 1][0] > depth:
            first -= 1
        parts = tuple(each for _, each in waiting[first:])
        waiting[first:] = [(depth, Import(match[4], int(match[2]) / 1000, parts))]
    return tuple(each for _, each in waiting)
