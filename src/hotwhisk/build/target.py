"""Describe the target of an artifact: one Python on one platform."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hotwhisk.artifact.manifest import MACHINES
from hotwhisk.errors import UsageError

LEAST: Final = (3, 11)
GLIBC: Final = (2, 28)
"""The glibc of the distributions that Python's own images and OpenWhisk's have, or an older one."""

_NAMES: Final = {**MACHINES, "x86_64": "x86_64", "x64": "x86_64", "aarch64": "aarch64"}
_WHEEL_TAG: Final = re.compile(
    r"(?:manylinux_(\d+)_(\d+)|manylinux(2014))_(x86_64|aarch64)"
    r"|(x86_64|aarch64)-manylinux_(\d+)_(\d+)"
)
_KNOWN_GLIBC: Final = (17, 28, *range(31, 41))
"""Minor versions of glibc for which uv knows a platform."""

_ASK: Final = (
    "import json, sys; print(json.dumps([sys.implementation.name, *sys.version_info[:3]]))"
)


@dataclass(frozen=True, slots=True)
class Target:
    """
    A Python on a platform.

    ``python`` is as ``3.12``, ``machine`` the architecture as wheels name it. ``interpreter`` is
    one that was named; if it is empty, one is searched when it is needed.
    """

    python: str
    machine: str
    glibc: tuple[int, int] = GLIBC
    interpreter: str = ""

    @property
    def platform(self) -> str:
        """The name that containers use, ``linux/amd64``."""
        names = {machine: name for name, machine in MACHINES.items()}
        return f"linux/{names[self.machine]}"

    @property
    def uv_platform(self) -> str:
        """The name that uv uses: the newest it knows that is not newer than the target."""
        minor = max((known for known in _KNOWN_GLIBC if known <= self.glibc[1]), default=17)
        return f"{self.machine}-manylinux_2_{minor}"

    def __str__(self) -> str:
        return f"Python {self.python} on {self.platform}"


def target(python: str = "", platform_name: str = "") -> Target:
    """
    Return the target for options of the command line.

    If they are empty, it is Linux on this machine's architecture with the Python that runs this.

    Raises:
        UsageError: the Python or the platform is unknown.
    """
    version, interpreter = _read_python(python)
    machine, glibc = _read_platform(platform_name)
    return Target(version, machine, glibc, interpreter)


def find_interpreter(wanted: Target, uv: str = "") -> tuple[str, str]:
    """
    Return a Python of the target's version on this machine, and its full version.

    Both are empty if there is none. ``uv``, if it is given, knows the Pythons that it installed.
    """
    if wanted.interpreter:
        return wanted.interpreter, ".".join(map(str, ask(wanted.interpreter)))
    if wanted.python == _short(sys.version_info[:2]):
        return sys.executable, platform.python_version()
    for candidate in (f"python{wanted.python}", _known_to_uv(uv, wanted.python)):
        if candidate:
            try:
                version = ask(candidate)
            except UsageError:
                continue
            if _short(version[:2]) == wanted.python:
                return candidate, ".".join(map(str, version))
    return "", ""


def ask(interpreter: str) -> tuple[int, ...]:
    """
    Return the version of an interpreter.

    Raises:
        UsageError: it cannot be run, or is not CPython.
    """
    try:
        done = subprocess.run(
            [interpreter, "-I", "-S", "-c", _ASK],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=True,
        )  # fmt: skip
        name, *version = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UsageError(f"{interpreter} cannot be run as a Python: {error}") from None
    if name != "cpython":
        raise UsageError(f"{interpreter} is {name}; expected CPython")
    return tuple(version)


def _known_to_uv(uv: str, python: str) -> str:
    if not uv:
        return ""
    done = subprocess.run(
        [uv, "python", "find", "--no-python-downloads", "--no-project", python],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() if done.returncode == 0 else ""


def _read_python(text: str) -> tuple[str, str]:
    interpreter = ""
    if not text:
        version = tuple(sys.version_info[:2])
    elif os.sep in text:
        version, interpreter = ask(text)[:2], str(Path(text).absolute())
    else:
        found = re.fullmatch(r"(?:cp|py|c?python)?-?(3)\.?(\d+)(?:\.\d+)*", text.strip().lower())
        if found is None:
            raise UsageError(
                f"--python {text} is not a version; expected one such as 3.12, or the path of a Python"
            )
        version = (int(found[1]), int(found[2]))
    if version < LEAST:
        raise UsageError(f"--python {text}: hotwhisk needs Python {_short(LEAST)} or newer")
    return _short(version), interpreter


def _read_platform(text: str) -> tuple[str, tuple[int, int]]:
    if not text:
        return _NAMES.get(platform.machine().lower(), "x86_64"), GLIBC
    name = text.strip().lower()
    if found := _WHEEL_TAG.fullmatch(name):
        machine = found[4] or found[5]
        major, minor = found[1] or found[6], found[2] or found[7]
        return machine, (2, 17) if found[3] else (int(major), int(minor))
    name = re.sub(r"^linux[/_-]|[-_](unknown-)?linux-gnu$|/v8$", "", name)
    if name in _NAMES:
        return _NAMES[name], GLIBC
    raise UsageError(
        f"--platform {text} is not known; expected linux/amd64 or linux/arm64, or for an older or "
        "newer glibc a tag of wheels as manylinux_2_17_x86_64"
    )


def _short(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
