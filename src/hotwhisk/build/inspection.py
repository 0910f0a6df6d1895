"""Report the manifest of an artifact, the size of its parts, and the cost of its imports."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hotwhisk.artifact import archive, built, zips
from hotwhisk.artifact.kinds import MANIFEST, is_artifact
from hotwhisk.build.import_profile import Import, profile
from hotwhisk.digest import digest_of
from hotwhisk.errors import BuildFailed, UsageError
from hotwhisk.sizes import MOST_CODE, code_size, show_size

if TYPE_CHECKING:
    from zipfile import ZipFile

    from hotwhisk.artifact.manifest import Manifest

_SITE: Final = re.compile(rf"^{built.PACKAGES_FOLDER}/lib/python[^/]+/site-packages/")
_HEAVIEST: Final = 5


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an artifact, with its bytes in the file and unpacked."""

    name: str
    packed: int
    unpacked: int
    files: int


@dataclass(frozen=True, slots=True)
class Contents:
    """
    The content of an artifact.

    It has the manifest, the parts with the heaviest first, the size in bytes, and the digest by
    which a server names it.
    """

    manifest: Manifest
    parts: tuple[Part, ...]
    size: int
    digest: str


def read(path: Path) -> Contents:
    """
    Return the content of a file that ``hotwhisk build`` made.

    Raises:
        UsageError: it is another file, or cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    try:
        with zips.open_zip(content) as opened:
            stated = built.read_manifest(opened, optional=True)
            if stated is None:
                raise UsageError(
                    f"{path} has no {MANIFEST}: expected what hotwhisk build made, with libraries "
                    "if it is a zip"
                )
            return Contents(stated, parts_of(opened), len(content), digest_of(content))
    except archive.damage_errors() as error:
        raise UsageError(f"{path} is not an artifact: {error}; hotwhisk build makes one") from None
    except BuildFailed as error:
        raise UsageError(f"{path}: {error}") from None


def parts_of(opened: ZipFile) -> tuple[Part, ...]:
    """Return the parts of an artifact, the heaviest first: the action, each library, hotwhisk."""
    owners = _owners(opened)
    as_zip = not is_artifact(opened.NameToInfo)
    sums: dict[str, list[int]] = {}
    for info in opened.infolist():
        sizes = sums.setdefault(_part_of(info.filename, owners, as_zip=as_zip), [0, 0, 0])
        sizes[0] += info.compress_size
        sizes[1] += info.file_size
        sizes[2] += 1
    parts = (Part(name, *sizes) for name, sizes in sums.items())
    return tuple(sorted(parts, key=lambda part: (-part.packed, part.name)))


def too_large(content: bytes) -> str:
    """Return a text if OpenWhisk would refuse the artifact, with its heaviest parts; else empty."""
    posted = code_size(content)
    if posted <= MOST_CODE:
        return ""
    with zips.open_zip(content) as opened:
        heaviest = parts_of(opened)[:_HEAVIEST]
        infos = opened.infolist()
    compiled = sum(info.compress_size for info in infos if info.filename.endswith(".pyc"))
    hint = f"; --no-bytecode leaves out {show_size(compiled)}" if compiled else ""
    rows = ", ".join(f"{part.name} {show_size(part.packed)}" for part in heaviest)
    return (
        f"in base64, as it is posted, it has {show_size(posted)}; OpenWhisk takes "
        f"{show_size(MOST_CODE)}. What weighs most: {rows}{hint}"
    )


def measure_imports(path: Path) -> tuple[float, list[Import]]:
    """
    Run the action's imports in a separate process, and measure them.

    Return the milliseconds for all of it, and the imports that take most time.

    Raises:
        BuildFailed: they fail, and how.
    """
    top = sorted(profile(path.read_bytes()), key=lambda each: -each.milliseconds)
    return sum(each.milliseconds for each in top), [each for each in top if each.milliseconds >= 1]


def _owners(opened: ZipFile) -> dict[str, str]:
    """Return the library to which each file belongs, by file."""
    owners: dict[str, str] = {}
    for name in opened.namelist():
        site = _SITE.match(name)
        if site and name.endswith(".dist-info/RECORD"):
            project, _, rest = name.removeprefix(site[0]).partition("-")
            version = rest.partition(".dist-info")[0]
            text = opened.read(name).decode("utf-8", "replace")
            for row in csv.reader(io.StringIO(text)):
                if row:
                    owners[site[0] + row[0]] = f"{project} {version}"
    return owners


def _part_of(name: str, owners: dict[str, str], *, as_zip: bool) -> str:
    """
    Return the part to which a member belongs: a library, ``the action`` or ``hotwhisk``.

    In a zip, every member outside ``virtualenv/`` is the action's.
    """
    folder, _, file = name.rpartition("/__pycache__/")
    source = f"{folder}/{file.partition('.')[0]}.py" if folder else name
    if source in owners:
        return owners[source]
    if _SITE.match(name):
        return "other libraries"
    action = "" if as_zip else f"{built.CODE_FOLDER}/"
    ours = name.startswith(f"{built.PACKAGES_FOLDER}/") or not name.startswith(action)
    return "hotwhisk" if ours else "the action"
