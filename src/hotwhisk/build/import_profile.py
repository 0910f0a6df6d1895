"""Run the imports of an action in a process of their own, and measure each of them."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import hotwhisk
from hotwhisk.errors import BuildFailed

_LINE: Final = re.compile(r"^import time:\s+(\d+) \|\s+(\d+) \|( +)(\S+)$")
_MARK: Final = "-- the action --"

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


def profile(
    content: bytes,
    main: str = "main",
    environ: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> tuple[Import, ...]:
    """
    Load an artifact and return the imports that it makes, in their order.

    ``environ`` replaces the environment of this process, ``seconds`` is the longest that it may
    take.

    Raises:
        BuildFailed: it cannot be loaded, or not in time, and how.
    """
    with tempfile.TemporaryDirectory(prefix="hotwhisk-inspect-") as work:
        file = Path(work, "artifact")
        file.write_bytes(content)
        home = str(Path(hotwhisk.__file__).parents[1])
        try:
            done = subprocess.run(
                [
                    sys.executable, "-X", "importtime", "-c", _LOAD, home, str(file),
                    f"{work}/code", main,
                ],
                cwd=work, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, text=True, errors="replace", check=False, timeout=seconds,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise BuildFailed(f"its imports took longer than {seconds:g} s here") from None
    before, marked, lines = done.stderr.partition(f"{_MARK}\n")
    if done.returncode:
        said = (lines if marked else before).splitlines()
        own = [line for line in said if not line.startswith("import time:")]
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
