"""
Make a zip as ``zip -r`` does, which the platform's documents use.

Links are followed: a virtual environment comes with copies of the interpreter it links to.
"""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

DATE = (2024, 1, 1, 0, 0, 0)  # the same files give the same archive


def zip_recursively(folder: Path, target: Path) -> None:
    """
    Zip everything below ``folder`` with modes; folders are members too, as ``zip``
    writes them.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, folders, files in os.walk(folder, followlinks=True):
            folders.sort()
            for name in sorted(folders):
                _add(archive, folder, Path(place, name))
            for name in sorted(files):
                _add(archive, folder, Path(place, name))


def _add(archive: zipfile.ZipFile, folder: Path, path: Path) -> None:
    mode = path.stat().st_mode
    name = path.relative_to(folder).as_posix()
    member = zipfile.ZipInfo(f"{name}/" if stat.S_ISDIR(mode) else name, DATE)
    member.external_attr = mode << 16
    member.create_system = 3  # unix, so that modes count
    member.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(member, b"" if stat.S_ISDIR(mode) else path.read_bytes())
