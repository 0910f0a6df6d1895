"""Write the file in which ``wsk`` and other clients find the address and the key."""

from __future__ import annotations

import os
from collections.abc import Mapping

from hotwhisk.errors import StartError


def wskprops_path(environ: Mapping[str, str]) -> str:
    """Return the path of the file: ``WSK_CONFIG_FILE``, or ``.wskprops`` in the home folder."""
    home = environ.get("HOME") or os.path.expanduser("~")
    return environ.get("WSK_CONFIG_FILE") or os.path.join(home, ".wskprops")


def write_wskprops(path: str, url: str, auth: str) -> None:
    """
    Set address and key in the file, readable by its owner alone; other lines stay.

    Raises:
        StartError: the file cannot be written.
    """
    new = {"APIHOST": url, "AUTH": auth}
    path = os.path.realpath(path)
    try:
        kept = [line for line in _lines(path) if line.partition("=")[0].strip() not in new]
        lines = [*kept, *(f"{name}={value}" for name, value in new.items())]
        _replace(path, "\n".join(lines) + "\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StartError(
            f"{path} cannot be written: {reason}; set WSK_CONFIG_FILE to another file"
        ) from None


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


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []
