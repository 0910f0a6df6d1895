"""
Turn posted code into a folder with the action in it.

The kind of the code is found by its content, see `kinds`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EACCES, EDQUOT, EEXIST, EMFILE, ENFILE, ENOSPC, ENOTEMPTY, EPERM, EROFS

from hotwhisk.artifact import archive, package_cache, zips
from hotwhisk.artifact.built import extract, read_manifest
from hotwhisk.artifact.kinds import (
    DEFAULT_HANDLER,
    HEAD_SIZE,
    LAUNCHER,
    PROGRAM,
    SOURCE_ENTRY,
    TAR_GZ,
    Kind,
    detect,
    is_jar,
    is_program,
    launched_handler,
)  # fmt: skip
from hotwhisk.digest import digest_of
from hotwhisk.errors import BuildFailed
from hotwhisk.record import Record
from hotwhisk.system.removal import remove

__all__ = [
    "FOLDER_ENTRY", "PROGRAM", "SOURCE_ENTRY", "Compile", "Kind", "Unpacked", "detect",
    "digest_of", "discard", "find_entry", "is_program", "libraries_beside", "remove", "unpack",
]  # fmt: skip

FOLDER_ENTRY = "__main__.py"

FOLDER_TO_BLAME = frozenset({EACCES, EDQUOT, EMFILE, ENFILE, ENOSPC, EPERM, EROFS})
"""Errors whose cause is the folder to unpack into, and not the artifact."""

Compile = Callable[[str, str], None]
"""A function that makes a folder with ``exec`` (the second argument) from sources (the first)."""


class Unpacked(Record):
    """
    An artifact on disk: ``entry`` is the file to run, in or below ``folder``.

    ``main`` is the handler's name that a built or compiled artifact states, else empty.
    """

    kind: Kind
    folder: str
    entry: str
    digest: str
    main: str = ""

    def handler(self, asked: str) -> str:
        """
        Return the name of the handler; ``asked`` is the one that a request names.

        A compiled artifact names its own in any case, a built one if ``asked`` is the default.
        """
        decides = self.kind is Kind.COMPILED or asked == DEFAULT_HANDLER
        return self.main if self.main and decides else asked


def unpack(
    content: bytes,
    folder: str,
    compiler: Compile | None = None,
    libraries: str = "",
    jar: str | None = None,
) -> Unpacked:
    """
    Put an artifact into ``folder``, whole or not at all.

    It is unpacked beside the folder and renamed into place. If a folder holds the same artifact
    already, it is used; the file ``<folder>.digest`` says which artifact it holds. If there is a
    ``compiler``, it gets code that cannot be run as it is. It gets a Java archive whole, as a file
    called ``jar``, if that is given. Below ``libraries`` are the libraries that versions share, see
    `package_cache`; without it, each folder gets its own.
    """
    kind = detect(content)
    if kind not in (Kind.SOURCE, Kind.FOLDER):
        compiler = None
    digest = digest_of(content)
    if _is_used(folder):
        if _read_note(folder) != digest:
            raise BuildFailed(f"{folder} holds something else already; expected an empty folder")
    elif compiler is None:
        with _unpacked_beside(folder, content, kind, SOURCE_ENTRY, libraries) as fresh:
            _name_entry(kind, fresh)
            _write_note(folder, digest)  # before the rename: no death leaves a folder without it
            _put_in_place(fresh, folder)
    else:
        whole = jar if is_jar(content) else None
        given = Kind.SOURCE if whole else kind
        with _unpacked_beside(folder, content, given, whole or PROGRAM, libraries) as fresh:
            _compile(compiler, fresh, folder)
        _write_note(folder, digest)
    if compiler is not None:
        python = all(os.path.isfile(f"{folder}/{name}") for name in (LAUNCHER, SOURCE_ENTRY))
        kind = Kind.COMPILED if python else Kind.EXECUTABLE
    return _describe(content, kind, folder, digest)


def _describe(content: bytes, kind: Kind, folder: str, digest: str) -> Unpacked:
    """Return what is in the folder."""
    if kind is Kind.SOURCE:
        return Unpacked(kind, folder, f"{folder}/{SOURCE_ENTRY}", digest)
    if kind is Kind.BUILT:
        with zips.open_zip(content) as opened:
            stated = read_manifest(opened)
        assert stated is not None
        _name_officially(folder, stated.entry)
        return Unpacked(kind, folder, f"{folder}/{stated.entry}", digest, stated.main)
    if kind is Kind.COMPILED:
        return Unpacked(kind, folder, f"{folder}/{SOURCE_ENTRY}", digest, launched_handler(folder))
    if kind is Kind.EXECUTABLE:
        return Unpacked(kind, folder, f"{folder}/{PROGRAM}", digest)
    entry = find_entry(folder)
    _name_officially(folder, os.path.basename(entry))
    return Unpacked(kind, folder, entry, digest)


def discard(holder: str, seconds: float = float("inf")) -> bool:
    """
    Remove the folder of a generation, and the libraries that only this generation uses.

    Return False if that takes longer than ``seconds``; see `remove`.
    """
    return remove(holder, seconds) and package_cache.sweep(libraries_beside(holder), seconds)


def libraries_beside(holder: str) -> str:
    """Return where the generation with this folder finds libraries that it shares with others."""
    return f"{os.path.dirname(holder)}/{package_cache.LINK}"


def find_entry(folder: str, served: str = "") -> str:
    """
    Return the file of a folder that is to be run.

    ``main__.py`` is what the official compiler makes of ``__main__.py``. A program is used before
    both, unless it is that compiler's. If there is no such file, the error names the folder as
    ``served``, where it lies, or as a zip.
    """
    program = f"{folder}/{PROGRAM}"
    if os.path.isfile(program) and not os.path.isfile(f"{folder}/{LAUNCHER}"):
        with open(program, "rb", buffering=0) as file:
            if is_program(file.read(HEAD_SIZE)):
                return program
    for name in (FOLDER_ENTRY, SOURCE_ENTRY):
        if os.path.isfile(f"{folder}/{name}"):
            return f"{folder}/{name}"
    where = f"the folder {served}" if served else "Zip file"
    text = f"{where} does not include {FOLDER_ENTRY} at its top level"
    names = sorted(os.listdir(folder))
    below = [name for name in names if os.path.isfile(f"{folder}/{name}/{FOLDER_ENTRY}")]
    if below and served:
        text += f"; did you mean {served}/{below[0]}?"
    elif below:
        text += f"; it is in the folder {below[0]!r}: pack the contents of that folder, "
        text += "not the folder itself"
    raise BuildFailed(text)


def _name_officially(folder: str, entry: str) -> None:
    """
    Make the entry of a folder importable by the name that the official compiler gives it.

    Child processes of the action import that name. An action may have a file of that name.
    """
    try:
        os.symlink(entry, f"{folder}/{SOURCE_ENTRY}")
    except FileExistsError:
        pass


def _is_used(folder: str) -> bool:
    """Return whether the folder has an entry already."""
    try:
        return bool(os.listdir(folder))
    except FileNotFoundError:
        return False


def _read_note(folder: str) -> str:
    """Return the digest of the artifact in a folder, or an empty text if nothing says it."""
    try:
        with open(f"{folder}.digest", "rb", buffering=0) as file:
            return file.read().decode("ascii", "replace")
    except FileNotFoundError:
        return ""


def _write_note(folder: str, digest: str) -> None:
    with open(f"{folder}.digest", "wb", buffering=0) as file:
        file.write(digest.encode())


@contextmanager
def _unpacked_beside(
    folder: str, content: bytes, kind: Kind, single: str, libraries: str
) -> Iterator[str]:
    """
    Unpack into a fresh folder beside ``folder``; remove what is left of it in the end.

    Code that is a single file gets the name ``single``.
    """
    parent, name = os.path.split(folder)
    fresh = f"{parent}/.{name}.{os.getpid()}"
    package_cache.ensure_folder(parent)
    os.mkdir(fresh, 0o755)
    try:
        _extract(content, kind, fresh, single, libraries)
        os.chmod(fresh, 0o755)  # noqa: S103 - an action may run as another user
        yield fresh
    except archive.damage_errors() as error:
        if isinstance(error, OSError) and error.errno in FOLDER_TO_BLAME:
            raise
        raise BuildFailed(f"the archive cannot be unpacked: {error}") from error
    finally:
        remove(fresh)


def _name_entry(kind: Kind, folder: str) -> None:
    """Give the file that is run its name and mode, or raise if there is none."""
    if kind is Kind.EXECUTABLE:
        _make_executable(folder)
    elif kind is Kind.FOLDER:
        # Not a program, so it is named like the official source.
        if os.path.isfile(f"{folder}/{PROGRAM}"):
            os.replace(f"{folder}/{PROGRAM}", f"{folder}/{FOLDER_ENTRY}")
        find_entry(folder)


def _put_in_place(fresh: str, folder: str) -> None:
    try:
        os.rename(fresh, folder)
    except OSError as error:
        if error.errno not in (ENOTEMPTY, EEXIST):  # the file system chooses
            raise
        # Another process has unpacked the same artifact meanwhile.


def _compile(compiler: Compile, fresh: str, folder: str) -> None:
    """Compile into ``folder`` itself: a compiled program may hold the path where it was made."""
    os.mkdir(folder, 0o755)
    try:
        compiler(fresh, folder)
        _make_executable(folder)
    except BaseException:
        remove(folder)
        raise


def _extract(content: bytes, kind: Kind, folder: str, source_name: str, libraries: str) -> None:
    """Write the files of an artifact."""
    if kind is Kind.SOURCE or (kind is Kind.EXECUTABLE and is_program(content)):
        name = source_name if kind is Kind.SOURCE else PROGRAM
        with open(f"{folder}/{name}", "xb", buffering=0) as file:
            file.write(content)
    elif content.startswith(TAR_GZ):
        archive.unpack_tar(content, folder)
    else:
        with zips.open_zip(content) as opened:
            extract(opened, content, folder, libraries)


def _make_executable(folder: str) -> None:
    """Make the program executable. Archives lose modes, and code posted alone has none."""
    path = f"{folder}/{PROGRAM}"
    os.chmod(path, os.stat(path).st_mode | 0o755)  # noqa: S103 - as the official proxy sets it
