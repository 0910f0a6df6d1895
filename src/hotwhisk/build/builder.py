"""
The artifact builder.

An artifact is a ``#!`` line and a zip: the action below ``action/``, the hotwhisk package
itself, a bootstrap as ``__main__.py``, and a manifest. Python runs such a file as it is,
importing from the zip without unpacking it.

The same inputs give the same bytes: members are sorted, dates fixed, modes reduced to
"executable or not", and nothing of the machine is recorded. The package is stored as
source, since compiled code is neither stable between builds nor good for another Python.
It is written beside the output and renamed, so that an artifact in use is never half new.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import stat
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import hotwhisk
from hotwhisk.artifact import CODE_FOLDER, FOLDER_ENTRY, MANIFEST, MANIFEST_FORMAT
from hotwhisk.errors import UsageError

SHEBANG: Final = b"#!/usr/bin/env python3\n"
REQUIRES_PYTHON: Final = ">=3.11"

_LEFT_OUT: Final = frozenset(
    {"__pycache__", ".git", ".hg", ".venv", "venv", ".idea", ".vscode", ".DS_Store"}
    | {".pytest_cache", ".mypy_cache", ".ruff_cache", ".tox", ".hypothesis"}
)
_LEFT_OUT_ENDS: Final = (".pyc", ".swp", ".swo", "~", ".orig", ".rej")
_DATE: Final = (1980, 1, 1, 0, 0, 0)

Members = dict[str, tuple[int, bytes]]
"""By name in the archive: Unix mode with file type, and content (of a link, its target)."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    What an artifact says of itself; ``warnings`` are for the builder's user only.
    """

    format: int
    name: str
    entry: str
    main: str
    hotwhisk: str
    python: str
    digest: str
    warnings: tuple[str, ...] = ()


def build(source: Path, output: Path, main: str = "main", name: str | None = None) -> Manifest:
    """
    Build a file, or a folder with ``__main__.py``, into the executable file ``output``.
    """
    members, entry = _read_source(source, output)
    manifest = Manifest(
        format=MANIFEST_FORMAT,
        name=name or source.resolve().stem,
        entry=entry,
        main=main,
        hotwhisk=hotwhisk.__version__,
        python=REQUIRES_PYTHON,
        digest=_digest(members),
        warnings=_warnings(members),
    )
    stated = {key: value for key, value in asdict(manifest).items() if key != "warnings"}
    members = {f"{CODE_FOLDER}/{path}": member for path, member in members.items()}
    members.update(_own_package())
    bootstrap = Path(__file__).with_name("bootstrap.py")
    members["__main__.py"] = (stat.S_IFREG | 0o644, bootstrap.read_bytes())
    text = json.dumps(stated, indent=2, sort_keys=True) + "\n"
    members[MANIFEST] = (stat.S_IFREG | 0o644, text.encode())
    _write(output, SHEBANG + _zip(members))
    return manifest


def _read_source(source: Path, output: Path) -> tuple[Members, str]:
    """
    The action's files, and the one to run.
    """
    if source.is_file():
        return {source.name: (stat.S_IFREG | 0o644, source.read_bytes())}, source.name
    if not (source / FOLDER_ENTRY).is_file():
        raise UsageError(
            f"{source} cannot be built: expected a .py file, or a folder with {FOLDER_ENTRY}"
        )
    return _read_folder(source, output.resolve()), FOLDER_ENTRY


def _read_folder(folder: Path, output: Path) -> Members:
    """
    All files and links below a folder, without caches, editors' files and the output.
    """
    members: Members = {}
    root = folder.resolve()
    for top, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not _is_left_out(name))
        for name in sorted(files + [n for n in folders if os.path.islink(f"{top}/{n}")]):
            path = Path(top, name)
            if _is_left_out(name) or path == output:
                continue
            member = path.relative_to(root).as_posix()
            if path.is_symlink():
                if not path.resolve().is_relative_to(root) or path.readlink().is_absolute():
                    raise UsageError(
                        f"the link {member} leads out of {folder}: the artifact would lack "
                        "what it points to; replace it by a copy"
                    )
                members[member] = (stat.S_IFLNK | 0o777, os.fsencode(path.readlink()))
            elif path.is_file():
                mode = 0o755 if path.stat().st_mode & 0o111 else 0o644
                members[member] = (stat.S_IFREG | mode, path.read_bytes())
    return members


def _is_left_out(name: str) -> bool:
    """
    Whether a file or folder of that name has no place in an artifact.
    """
    return name in _LEFT_OUT or name.endswith(_LEFT_OUT_ENDS)


def _own_package() -> Members:
    """
    The sources of the hotwhisk package; read through its loader where it lies in a zip
    itself, so that an artifact can build artifacts.
    """
    root = Path(hotwhisk.__file__).parent
    mode = stat.S_IFREG | 0o644
    if root.is_dir():
        paths = (path for path in root.rglob("*.py") if not _is_left_out(path.name))
        return {
            f"hotwhisk/{path.relative_to(root).as_posix()}": (mode, path.read_bytes())
            for path in paths
        }
    with zipfile.ZipFile(root.parent) as archive:
        names = [name for name in archive.namelist() if name.startswith("hotwhisk/")]
        return {name: (mode, archive.read(name)) for name in names}


def _warnings(members: Members) -> tuple[str, ...]:
    """
    What the user of the builder should know.
    """
    if "requirements.txt" not in members or any(n.startswith("virtualenv/") for n in members):
        return ()
    text = (
        "requirements.txt: dependencies are not included yet; install them where the "
        "artifact runs, or put them into the folder"
    )
    return (text,)


def _digest(members: Members) -> str:
    """
    One digest for the action's files: names, modes and contents.
    """
    digest = hashlib.sha256()
    for name, (mode, content) in sorted(members.items()):
        digest.update(f"{name}\0{mode:o}\0{len(content)}\0".encode("utf-8", "surrogateescape"))
        digest.update(content)
    return "sha256:" + digest.hexdigest()


def _zip(members: Members) -> bytes:
    """
    A zip that depends on nothing but its members.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, (mode, content) in sorted(members.items()):
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system = 3  # Unix, wherever it is built: modes count
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return buffer.getvalue()


def _write(output: Path, content: bytes) -> None:
    """
    Write an executable file, whole or not at all.
    """
    fresh = output.with_name(f".{output.name}.{secrets.token_hex(4)}")
    try:
        fresh.write_bytes(content)
        fresh.chmod(0o755)
        fresh.replace(output)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)
