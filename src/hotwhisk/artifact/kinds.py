"""
Find the kind of posted code by its content.

The ``binary`` flag is not used: it only says whether the text is base64.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from hotwhisk.artifact import archive, zips

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


MANIFEST: Final = "hotwhisk.json"
PROGRAM: Final = "exec"
_OWN_PACKAGE: Final = "hotwhisk/__init__.py"
SOURCE_ENTRY: Final = "main__.py"
DEFAULT_HANDLER: Final = "main"
"""The name of the handler if neither an ``/init`` nor an option gives another one."""

_ZIP_STARTS: Final = tuple(
    b"PK" + a + b for a in (b"\3", b"\5", b"\7") for b in (b"\4", b"\6", b"\x08")
)
_JAR_MANIFEST: Final = "META-INF/MANIFEST.MF"
TAR_GZ: Final = b"\x1f\x8b\x08"
_ELF: Final = b"\x7fELF"
BINARY_STARTS: Final = (b"PK\3\4", TAR_GZ[:2], _ELF)
"""How archives and programs begin; a source does not."""

LAUNCHER: Final = "exec__.py"
"""The official compiler's launcher of Python, beside ``exec`` and ``main__.py``."""

HEAD_SIZE: Final = 53
"""How many bytes at the start of a file show whether it is a program."""


class Kind(StrEnum):
    """The kind of an artifact, by its content."""

    SOURCE = "source"
    """The text of one Python module."""
    FOLDER = "folder"
    """A zip or tar.gz of Python files with ``__main__.py``."""
    BUILT = "built"
    """The output of ``hotwhisk build``."""
    COMPILED = "compiled"
    """Python that the official compiler packed: a program, and the Python in it, which is run."""
    EXECUTABLE = "executable"
    """A program that speaks ActionLoop, alone or as ``exec`` in an archive."""


def detect(content: bytes) -> Kind:
    """Return the kind of posted code by its first bytes and, for an archive, by its members."""
    if b"PK\5\6" in content[-65_557:] and is_artifact(zips.zip_names(content)):
        return Kind.BUILT
    if content.startswith(b"#!") and _is_python_script(content):
        return Kind.SOURCE
    if is_program(content):
        return Kind.EXECUTABLE
    if content.startswith((*_ZIP_STARTS, TAR_GZ)):
        return _detect_archive(content)
    return Kind.SOURCE


def is_artifact(names: Collection[str]) -> bool:
    """
    Return whether a zip with these members was made by ``hotwhisk build``.

    Such a zip has hotwhisk itself in it.
    """
    return MANIFEST in names and _OWN_PACKAGE in names


def is_program(head: bytes) -> bool:
    """Return whether a file that begins with these bytes can be executed."""
    return head.startswith(b"#!") or (head.startswith(_ELF) and len(head) >= HEAD_SIZE)


def is_jar(content: bytes) -> bool:
    """Return whether this is a Java archive: a zip with a manifest of Java's."""
    return content.startswith(_ZIP_STARTS) and _JAR_MANIFEST in zips.zip_names(content)


def _detect_archive(content: bytes) -> Kind:
    """
    Return the kind of an archive by its members.

    An archive with a program as ``exec`` is executable, unless the official compiler made it from
    Python: then ``exec`` is a shell script that starts ``exec__.py``, and the action is in
    ``main__.py``. An ``exec`` that is not a program is a Python source.
    """
    if content.startswith(TAR_GZ):
        heads = archive.tar_heads(content, HEAD_SIZE)
        names, head = set(heads), heads.get(PROGRAM, b"")
    else:
        names, head = zips.zip_names(content), b""
        if PROGRAM in names:
            try:
                with zips.open_zip(content) as opened:
                    head = zips.read_member(opened, PROGRAM, HEAD_SIZE)
            except archive.damage_errors():
                return Kind.FOLDER  # if it cannot be read, the error comes when it is unpacked
    if PROGRAM in names and {LAUNCHER, SOURCE_ENTRY} <= names:
        return Kind.COMPILED
    return Kind.EXECUTABLE if is_program(head) else Kind.FOLDER


def _is_python_script(content: bytes) -> bool:
    """
    Return whether this is a text whose first line names Python.

    A text with a syntax error counts too, because the syntax error helps its author more than an
    error that says it is not Python.
    """
    return b"python" in content.partition(b"\n")[0] and b"\0" not in content


def launched_handler(folder: str) -> str:
    """Return the handler's name in the official compiler's launcher, which imports the handler."""
    try:
        with open(f"{folder}/{LAUNCHER}", "rb", buffering=0) as file:
            lines = file.read().splitlines()
    except OSError:
        return ""
    for words in map(bytes.split, lines):
        if words[:3] == [b"from", b"main__", b"import"] and words[4:] == [b"as", b"main"]:
            return words[3].decode(errors="replace")
    return ""
