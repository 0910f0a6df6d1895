"""
Read what ``hotwhisk build`` made: its manifest and its files.

There are two layouts, with one manifest in each. An artifact has the action below ``action/`` and
hotwhisk itself beside it. A zip has the action at its top, as other servers take it. The libraries
are in ``virtualenv/`` in both, and in the folder of the action that is unpacked.
"""

from __future__ import annotations

import os
import sys

from hotwhisk.artifact import archive, manifest, package_cache, zips
from hotwhisk.artifact.kinds import MANIFEST, is_artifact
from hotwhisk.digest import sha256
from hotwhisk.errors import BuildFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final
    from zipfile import ZipFile

    from hotwhisk.artifact.manifest import Manifest

CODE_FOLDER: Final = "action"
PACKAGES_FOLDER: Final = "virtualenv"
"""The folder of libraries in an artifact and in an unpacked action. The official images know it."""


def extract(opened: ZipFile, content: bytes, folder: str, libraries: str) -> None:
    """Unpack the action's files, and the libraries that came with it or exist already."""
    below = CODE_FOLDER if is_artifact(opened.NameToInfo) else ""
    stated = read_manifest(opened, optional=True)
    if stated is None:
        zips.unpack_zip(opened, content, folder)
        return
    if reason := manifest.misfit(stated, here()):
        raise BuildFailed(reason)
    zips.unpack_zip(opened, content, folder, below, "" if below else PACKAGES_FOLDER)
    listing = zips.listing(opened, PACKAGES_FOLDER)
    if not listing:
        return

    def fill(place: str) -> None:
        zips.unpack_zip(opened, content, place, PACKAGES_FOLDER)

    place = f"{folder}/{PACKAGES_FOLDER}"
    if libraries:
        key = sha256(stated.packages_digest.encode() + listing).hex()[:32]
        os.symlink(
            package_cache.fill_and_move(libraries, key, os.path.dirname(folder), fill), place
        )
    else:
        os.mkdir(place, 0o755)
        fill(place)


def read_manifest(opened: ZipFile, *, optional: bool = False) -> Manifest | None:
    """
    Return the manifest of what ``hotwhisk build`` made; None for another zip, if ``optional``.

    Raises:
        BuildFailed: the manifest is missing or cannot be read.
    """
    names = [MANIFEST, f"{PACKAGES_FOLDER}/{MANIFEST}"]
    found = [name for name in names if name in opened.NameToInfo]
    if not is_artifact(opened.NameToInfo):
        found = found[-1:] if names[1] in found else []  # a manifest at the top is the action's own
    if not found and optional:
        return None
    try:
        return manifest.read(zips.read_member(opened, (found or names)[0]))
    except archive.damage_errors() as error:
        raise BuildFailed(f"{MANIFEST} in the artifact cannot be read: {error}") from error


def misfit_of(path: str) -> str:
    """
    Return why the built artifact in a file cannot run here.

    The text is empty if the artifact can run, or if the file holds none.
    """
    import zipfile

    try:
        with zipfile.ZipFile(path) as opened:
            stated = read_manifest(opened, optional=True)
    except archive.damage_errors(OSError, BuildFailed):
        return ""
    return manifest.misfit(stated, here()) if stated is not None else ""


def here() -> manifest.Here:
    """Return the platform of this machine."""
    system = os.uname()
    names = {name: other for other, name in manifest.MACHINES.items()}
    platform = f"{system.sysname.lower()}/{names.get(system.machine, system.machine)}"
    try:
        library, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError):  # musl, macOS
        library, version = "", ""
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return manifest.Here(python, platform, version if library == "glibc" else "")
