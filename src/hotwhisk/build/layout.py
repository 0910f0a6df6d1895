"""Hold files in memory and make a zip of them. The same members give the same bytes."""

from __future__ import annotations

import hashlib
import io
import os
import secrets
import zipfile
from pathlib import Path
from typing import Final

from hotwhisk.errors import UsageError

DATE: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest date that a zip can hold."""

Members = dict[str, tuple[int, bytes]]
"""Members by name in the archive: Unix mode with file type, and content (of a link, its target)."""


def below(folder: str, members: Members) -> Members:
    """Return the same members in a folder."""
    return {f"{folder}/{name}": member for name, member in members.items()}


def digest_of_members(members: Members) -> str:
    """Return one digest for files: names, modes and contents."""
    digest = hashlib.sha256()
    for name, (mode, content) in sorted(members.items()):
        digest.update(f"{name}\0{mode:o}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        digest.update(content)
    return "sha256:" + digest.hexdigest()


def zip_members(members: Members, base: bytes = b"") -> bytes:
    """
    Return a zip that depends on nothing but its members, which are added to those of ``base``.

    Raises:
        UsageError: a name cannot be written in a zip.
    """
    buffer = io.BytesIO(base)
    with zipfile.ZipFile(buffer, "a" if base else "w") as archive:
        for name, (mode, content) in sorted(members.items()):
            info = zipfile.ZipInfo(name, DATE)
            info.create_system = 3  # Unix, on whatever system it is built, so that modes count
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            try:
                archive.writestr(info, content)
            except UnicodeEncodeError:
                raise UsageError(f"the name of {name!r} is not UTF-8: rename it") from None
    return buffer.getvalue()


def check_output(output: Path) -> None:
    """
    Refuse an output that cannot be written, before the work of a build.

    Raises:
        UsageError: it is a folder, or its folder is missing or not writable.
    """
    folder = output.absolute().parent
    if output.is_dir():
        raise UsageError(f"{output} is a folder; expected the name of the file to write")
    if not folder.is_dir():
        raise UsageError(f"{output} cannot be written: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{output} cannot be written: the folder {folder} is not writable")


def write(output: Path, content: bytes, mode: int) -> None:
    """
    Write a file, whole or not at all.

    Raises:
        UsageError: it cannot be written.
    """
    # This name is left out by another build of the folder in which it lies.
    fresh = output.with_name(f".hotwhisk-{secrets.token_hex(4)}~")
    try:
        fresh.write_bytes(content)
        fresh.chmod(mode)
        fresh.replace(output)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from error
    finally:
        try:
            fresh.unlink(missing_ok=True)
        except OSError:  # it was not created
            pass
