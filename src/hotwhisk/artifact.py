"""
From the ``code`` of an ``/init`` to a folder with the action in it.

What was posted is told by its content, never by the ``binary`` flag: the flag only says
whether the text is base64. So a source posted as base64 and one posted as text are the
same artifact, with the same digest.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import os
import secrets
import shutil
import zipfile
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from hotwhisk import archive
from hotwhisk.errors import BodyTooLarge, BuildFailed, RequestError

if TYPE_CHECKING:
    from pathlib import Path

    from hotwhisk.contract import InitRequest

MOST_CODE: Final = 48 << 20
"""Bytes of code after decoding; the platform's own limit for an action is 48 MB."""

MANIFEST: Final = "hotwhisk.json"
CODE_FOLDER: Final = "action"
MANIFEST_FORMAT: Final = 1

SOURCE_ENTRY: Final = "main__.py"
FOLDER_ENTRY: Final = "__main__.py"

_ZIP_STARTS: Final = tuple(
    b"PK" + a + b for a in (b"\3", b"\5", b"\7") for b in (b"\4", b"\6", b"\x08")
)
_TAR_GZ: Final = b"\x1f\x8b\x08"
_ELF: Final = b"\x7fELF"
_NOT_SERVED: Final = "ActionLoop executables are not served by this version"


class Kind(StrEnum):
    """
    What an artifact is, by its content.
    """

    SOURCE = "source"
    """The text of one Python module."""
    FOLDER = "folder"
    """A zip or tar.gz of Python files with ``__main__.py``."""
    BUILT = "built"
    """The output of ``hotwhisk build``."""
    EXECUTABLE = "executable"
    """A program that speaks ActionLoop, alone or as ``exec`` in an archive."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """
    An artifact on disk: ``entry`` is the file to run, in or below ``folder``.

    ``main`` is the handler's name that a built artifact states, else empty.
    """

    kind: Kind
    folder: Path
    entry: Path
    digest: str
    main: str = ""


def decode(request: InitRequest) -> bytes:
    """
    The bytes of the posted code.
    """
    if not request.binary:
        content = request.code.encode("utf-8", "surrogatepass")
    else:
        try:
            text = "".join(request.code.split())
            content = base64.b64decode(text.encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError) as error:
            raise RequestError(
                f"cannot decode the request: `binary` is true, but `code` is not base64: {error}"
            ) from None
    if len(content) > MOST_CODE:
        raise BodyTooLarge(f"the code has {len(content)} bytes; the limit is {MOST_CODE}")
    return content


def digest_of(content: bytes) -> str:
    """
    The name of an artifact: two with the same digest are the same.
    """
    return "sha256:" + hashlib.sha256(content).hexdigest()


def detect(content: bytes) -> Kind:
    """
    Tell what was posted by its first bytes and, for an archive, by its members.
    """
    if b"PK\5\6" in content[-65_557:] and MANIFEST in _zip_names(content):
        return Kind.BUILT
    if content.startswith(_ELF) and len(content) > 52:
        return Kind.EXECUTABLE
    if content.startswith(b"#!"):
        return Kind.SOURCE if _is_python_script(content) else Kind.EXECUTABLE
    if content.startswith(_ZIP_STARTS):
        return _detect_zip(content)
    if content.startswith(_TAR_GZ):
        return Kind.FOLDER
    return Kind.SOURCE


def unpack(content: bytes, folder: Path) -> Unpacked:
    """
    Put an artifact into ``folder``, whole or not at all.

    It is unpacked beside the folder and renamed into place. A folder that holds the same
    artifact already is taken as it is; the file ``<folder>.digest`` says which it holds.
    """
    kind = detect(content)
    if kind is Kind.EXECUTABLE:
        raise BuildFailed(_NOT_SERVED)
    digest = digest_of(content)
    note = folder.with_name(folder.name + ".digest")
    if folder.is_dir() and any(folder.iterdir()):
        if not note.is_file() or note.read_text() != digest:
            raise BuildFailed(f"{folder} holds something else already; expected an empty folder")
    else:
        _unpack_anew(content, kind, folder)
        note.write_text(digest)
    if kind is Kind.BUILT:
        entry, main = _read_manifest(content)
        return Unpacked(kind, folder, folder / entry, digest, main)
    return Unpacked(kind, folder, find_entry(folder), digest)


def find_entry(folder: Path) -> Path:
    """
    The file of an unpacked folder that is to be run.

    ``main__.py`` is what the official compiler makes of ``__main__.py``.
    """
    for name in (FOLDER_ENTRY, SOURCE_ENTRY):
        if (folder / name).is_file():
            return folder / name
    text = f"Zip file does not include {FOLDER_ENTRY} at its top level"
    below = [path for path in folder.iterdir() if (path / FOLDER_ENTRY).is_file()]
    if below:
        text += (
            f"; it is in the folder {below[0].name!r}: pack the contents of that folder, "
            "not the folder itself"
        )
    raise BuildFailed(text)


def _unpack_anew(content: bytes, kind: Kind, folder: Path) -> None:
    """
    Unpack beside ``folder``, then rename.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    fresh.mkdir()
    try:
        if kind is Kind.SOURCE:
            (fresh / SOURCE_ENTRY).write_bytes(content)
        elif kind is Kind.BUILT:
            archive.unpack_zip(content, fresh, CODE_FOLDER)
        elif content.startswith(_TAR_GZ):
            archive.unpack_tar(content, fresh)
        else:
            archive.unpack_zip(content, fresh)
        fresh.chmod(0o755)
        if kind is Kind.FOLDER:
            find_entry(fresh)
        os.rename(fresh, folder)
    except archive.DAMAGE as error:
        raise BuildFailed(f"the archive cannot be unpacked: {error}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _detect_zip(content: bytes) -> Kind:
    """
    A zip with ``exec`` is a program, unless the official compiler made it from Python:
    then its ``exec`` is a shell script that starts ``exec__.py``, and the action is in
    ``main__.py``.
    """
    names = _zip_names(content)
    if "exec" in names and not {"exec__.py", SOURCE_ENTRY} <= names:
        return Kind.EXECUTABLE
    return Kind.FOLDER


def _zip_names(content: bytes) -> set[str]:
    """
    The member names of a zip; none if it cannot be read, which `unpack` will tell.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            return set(opened.namelist())
    except archive.DAMAGE:
        return set()


def _is_python_script(content: bytes) -> bool:
    """
    Text whose first line names Python. One with a syntax error counts: its author is
    better served by the error than by being told that it is no Python.
    """
    return b"python" in content.partition(b"\n")[0] and b"\0" not in content


def _read_manifest(content: bytes) -> tuple[str, str]:
    """
    Entry and handler's name of a built artifact.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as opened:
            manifest = json.loads(opened.read(MANIFEST))
        form, entry, main = manifest["format"], manifest["entry"], manifest["main"]
    except (*archive.DAMAGE, TypeError) as error:
        raise BuildFailed(f"{MANIFEST} in the artifact cannot be read: {error!r}") from error
    if form != MANIFEST_FORMAT:
        raise BuildFailed(
            f"the artifact has format {form}, this version reads {MANIFEST_FORMAT}: "
            "build it again with this version of hotwhisk"
        )
    if not (isinstance(entry, str) and isinstance(main, str)) or "/" in entry:
        raise BuildFailed(f"{MANIFEST} in the artifact must name a file and a handler")
    return entry, main
