"""
Code to post: what a file or a folder is in the body of an ``/init``.
"""

from __future__ import annotations

import base64
import io
import os
import stat
import zipfile
from pathlib import Path

from hotwhisk.cli.files import reason, require_file
from hotwhisk.errors import UsageError

ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"\x7fELF")
LEFT_OUT = frozenset(
    ("__pycache__", ".git", ".hg", ".svn", ".venv", ".mypy_cache", ".pytest_cache", ".ruff_cache")
)
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: equal folders, equal digests


def read_code(name: str) -> tuple[str, bool]:
    """
    The ``code`` and ``binary`` of an /init body: source as text, all else in base64.
    """
    require_file(name)
    path = Path(name)
    if path.is_dir():
        return base64.b64encode(zip_folder(path)).decode(), True
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{name}: {reason(error)}") from None
    if not content.strip():
        raise UsageError(f"{name} is empty; expected code with a handler: def main(event)")
    if content.startswith(ARCHIVES) or zipfile.is_zipfile(io.BytesIO(content)):
        return base64.b64encode(content).decode(), True
    try:
        return content.decode("utf-8-sig"), False
    except UnicodeDecodeError:
        raise UsageError(
            f"{name} is neither text in UTF-8 nor an archive; "
            "expected a .py file, a folder, a zip, a tar.gz or a built artifact"
        ) from None


def zip_folder(folder: Path) -> bytes:
    """
    A zip of a folder with ``__main__.py``; the same bytes for the same content.
    """
    if not any((folder / entry).exists() for entry in ("__main__.py", "exec")):
        raise UsageError(f"{folder} has no __main__.py, which a folder needs for its handler")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, folders, files in os.walk(folder):
            folders[:] = sorted(set(folders) - LEFT_OUT)
            links = [name for name in folders if (Path(place) / name).is_symlink()]
            for name in sorted(files + links):
                _add(archive, folder, Path(place) / name)
    return out.getvalue()


def _add(archive: zipfile.ZipFile, folder: Path, path: Path) -> None:
    member = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
    member.compress_type = zipfile.ZIP_DEFLATED
    inside = path.resolve().is_relative_to(folder.resolve())
    if path.is_symlink() and inside:
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, os.readlink(path))
    elif path.is_file():
        executable = os.access(path, os.X_OK)
        member.external_attr = (stat.S_IFREG | (0o755 if executable else 0o644)) << 16
        archive.writestr(member, path.read_bytes())
    elif path.is_symlink():
        raise UsageError(f"{path} is a link that leads out of the folder or nowhere")
