"""Write the file in which ``wsk`` and other clients find the address and the key."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from typing import Final

from hotwhisk.errors import StartError

_COPY: Final = ".before-hotwhisk"
"""What is added to the name of the file for the copy of it."""


def wskprops_path(environ: Mapping[str, str]) -> str:
    """Return the path of the file: ``WSK_CONFIG_FILE``, or ``.wskprops`` in the home folder."""
    home = environ.get("HOME") or os.path.expanduser("~")
    return environ.get("WSK_CONFIG_FILE") or os.path.join(home, ".wskprops")


def write_wskprops(path: str, url: str, auth: str) -> str:
    """
    Set address and key in the file, readable by its owner alone; other lines stay.

    If the file has another key, it is copied first. Return the path of that copy, or an empty text.

    Raises:
        StartError: the file or the copy cannot be written.
    """
    new = {"APIHOST": url, "AUTH": auth}
    path = os.path.realpath(path)
    try:
        before = _read(path)
        pairs = [(line.partition("=")[0].strip(), line) for line in before.splitlines()]
        keys = {line.partition("=")[2].strip() for name, line in pairs if name == "AUTH"}
        copy = _keep(path, before) if keys - {auth, ""} else ""
        kept = [line for name, line in pairs if name not in new]
        lines = [*kept, *(f"{name}={value}" for name, value in new.items())]
        _replace(path, "\n".join(lines) + "\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StartError(
            f"{path} cannot be written: {reason}; set WSK_CONFIG_FILE to another file"
        ) from None
    return copy


def _keep(path: str, text: str) -> str:
    """Copy a file beside it, unless a copy with this text is there; return the copy's path."""
    suffixes = itertools.chain([""], (f".{number}" for number in itertools.count(2)))
    names = (path + _COPY + suffix for suffix in suffixes)
    copy = next(each for each in names if not os.path.lexists(each) or _read(each) == text)
    _replace(copy, text)
    return copy


def _replace(path: str, text: str) -> None:
    """Replace a file as a whole. If that fails, no other file with the key is left behind."""
    partial = f"{path}.{os.getpid()}"
    descriptor = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""
