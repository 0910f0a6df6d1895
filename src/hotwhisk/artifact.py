"""
From the ``code`` of an ``/init`` to a folder with the action in it.

What was posted is told by its content, never by the ``binary`` flag: the flag only says
whether the text is base64. So a source posted as base64 and one posted as text are the
same artifact, with the same digest.
"""

from __future__ import annotations

import binascii
import json
import os
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from hotwhisk import archive
from hotwhisk.digest import sha256
from hotwhisk.errors import BodyTooLarge, BuildFailed, RequestError
from hotwhisk.record import Record

if TYPE_CHECKING:
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


class Unpacked(Record):
    """
    An artifact on disk: ``entry`` is the file to run, in or below ``folder``.

    ``main`` is the handler's name that a built artifact states, else empty.
    """

    kind: Kind
    folder: str
    entry: str
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
            content = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
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
    return "sha256:" + sha256(content).hex()


def detect(content: bytes) -> Kind:
    """
    Tell what was posted by its first bytes and, for an archive, by its members.
    """
    if b"PK\5\6" in content[-65_557:] and MANIFEST in archive.zip_names(content):
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


def unpack(content: bytes, folder: str) -> Unpacked:
    """
    Put an artifact into ``folder``, whole or not at all.

    It is unpacked beside the folder and renamed into place. A folder that holds the same
    artifact already is taken as it is; the file ``<folder>.digest`` says which it holds.
    """
    kind = detect(content)
    if kind is Kind.EXECUTABLE:
        raise BuildFailed(_NOT_SERVED)
    digest = digest_of(content)
    note = folder + ".digest"
    if _is_used(folder):
        if _read_note(note) != digest:
            raise BuildFailed(f"{folder} holds something else already; expected an empty folder")
    else:
        _unpack_anew(content, kind, folder)
        with open(note, "wb", buffering=0) as file:
            file.write(digest.encode())
    if kind is Kind.SOURCE:
        return Unpacked(kind, folder, f"{folder}/{SOURCE_ENTRY}", digest)
    if kind is Kind.BUILT:
        entry, main = _read_manifest(content)
        return Unpacked(kind, folder, f"{folder}/{entry}", digest, main)
    return Unpacked(kind, folder, find_entry(folder), digest)


def find_entry(folder: str) -> str:
    """
    The file of an unpacked folder that is to be run.

    ``main__.py`` is what the official compiler makes of ``__main__.py``.
    """
    for name in (FOLDER_ENTRY, SOURCE_ENTRY):
        if os.path.isfile(f"{folder}/{name}"):
            return f"{folder}/{name}"
    text = f"Zip file does not include {FOLDER_ENTRY} at its top level"
    for name in sorted(os.listdir(folder)):
        if os.path.isfile(f"{folder}/{name}/{FOLDER_ENTRY}"):
            text += (
                f"; it is in the folder {name!r}: pack the contents of that folder, "
                "not the folder itself"
            )
            break
    raise BuildFailed(text)


def remove(folder: str) -> None:
    """
    Remove an unpacked artifact, as far as that can be done. Links are removed, not followed.
    """
    try:
        with os.scandir(folder) as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    remove(entry.path)
                else:
                    os.unlink(entry.path)
        os.rmdir(folder)
    except OSError:  # gone, or the action took the rights away
        pass


def _is_used(folder: str) -> bool:
    """
    Whether there is something in the folder already.
    """
    try:
        return bool(os.listdir(folder))
    except FileNotFoundError:
        return False


def _read_note(path: str) -> str:
    """
    The digest of what was unpacked; empty if nobody wrote it down.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read().decode("ascii", "replace")
    except FileNotFoundError:
        return ""


def _unpack_anew(content: bytes, kind: Kind, folder: str) -> None:
    """
    Unpack beside ``folder``, then rename.
    """
    parent, name = os.path.split(folder)
    fresh = f"{parent}/.{name}.{os.getpid()}"
    os.makedirs(parent, exist_ok=True)
    os.mkdir(fresh, 0o755)
    try:
        if kind is Kind.SOURCE:
            with open(f"{fresh}/{SOURCE_ENTRY}", "xb", buffering=0) as file:
                file.write(content)
        elif kind is Kind.BUILT:
            archive.unpack_zip(content, fresh, CODE_FOLDER)
        elif content.startswith(_TAR_GZ):
            archive.unpack_tar(content, fresh)
        else:
            archive.unpack_zip(content, fresh)
        os.chmod(fresh, 0o755)  # noqa: S103 - an action may run as another user
        if kind is Kind.FOLDER:
            find_entry(fresh)
        os.rename(fresh, folder)
    except archive.damage() as error:
        remove(fresh)
        raise BuildFailed(f"the archive cannot be unpacked: {error}") from error
    except BaseException:
        remove(fresh)
        raise


def _detect_zip(content: bytes) -> Kind:
    """
    A zip with ``exec`` is a program, unless the official compiler made it from Python:
    then its ``exec`` is a shell script that starts ``exec__.py``, and the action is in
    ``main__.py``.
    """
    names = archive.zip_names(content)
    if "exec" in names and not {"exec__.py", SOURCE_ENTRY} <= names:
        return Kind.EXECUTABLE
    return Kind.FOLDER


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
        manifest = json.loads(archive.read_member(content, MANIFEST))
        form, entry, main = manifest["format"], manifest["entry"], manifest["main"]
    except archive.damage(TypeError) as error:
        raise BuildFailed(f"{MANIFEST} in the artifact cannot be read: {error!r}") from error
    if form != MANIFEST_FORMAT:
        raise BuildFailed(
            f"the artifact has format {form}, this version reads {MANIFEST_FORMAT}: "
            "build it again with this version of hotwhisk"
        )
    if not (isinstance(entry, str) and isinstance(main, str)) or "/" in entry:
        raise BuildFailed(f"{MANIFEST} in the artifact must name a file and a handler")
    return entry, main
