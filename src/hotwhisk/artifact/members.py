"""
Look into an archive without unpacking it: which files it has, and what is in one of them.

Programs beside a server do that, to show posted code to people and to agents.
"""

from __future__ import annotations

from hotwhisk.artifact import archive, zips
from hotwhisk.artifact.artifact import FOLDER_ENTRY
from hotwhisk.artifact.built import CODE_FOLDER
from hotwhisk.artifact.kinds import SOURCE_ENTRY, TAR_GZ
from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

PYTHON_ENTRIES: Final = (
    FOLDER_ENTRY,
    SOURCE_ENTRY,
    f"{CODE_FOLDER}/{FOLDER_ENTRY}",
    f"{CODE_FOLDER}/{SOURCE_ENTRY}",
)
"""Names of the file that is run, of an archive or a built artifact; the first that is there."""


class Member(Record):
    """A file of an archive: its name, and its size in bytes."""

    name: str
    size: int


def list_members(content: bytes) -> list[Member]:
    """
    Return the files of a zip or of a tar.gz; none if the content is neither.

    Raises:
        BuildFailed: the tar.gz unpacks to far more than its size allows.
        One of `hotwhisk.artifact.archive.damage_errors`: it cannot be read.
    """
    if content.startswith(TAR_GZ):
        with archive.open_tar(content) as tar:
            return [
                Member(archive.clean_name(each.name), each.size) for each in tar if each.isreg()
            ]
    if not content.startswith(b"PK"):
        return []
    with zips.open_zip(content) as opened:
        files = [each for each in opened.infolist() if not each.is_dir()]
        return [Member(archive.clean_name(each.filename), each.file_size) for each in files]


def read_member(content: bytes, name: str, most: int) -> bytes | None:
    """
    Return the first ``most`` bytes of a file of an archive, or None if it has no such file.

    Raises:
        As `list_members`.
    """
    if content.startswith(TAR_GZ):
        with archive.open_tar(content) as tar:
            for each in tar:
                wanted = each.isreg() and archive.clean_name(each.name) == name
                if wanted and (file := tar.extractfile(each)):
                    return file.read(most)
        return None
    if not content.startswith(b"PK"):
        return None
    with zips.open_zip(content) as opened:
        try:
            return zips.read_member(opened, name, most)
        except LookupError:
            return None
