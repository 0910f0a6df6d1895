"""
Take installed libraries as members of an artifact.

What depends on the machine is left out: scripts with the path of an interpreter, bytecode, notes of
the installer. ``RECORD`` is written anew for the rest. Each library's tags are compared with the
target once more: an index can be wrong, and a library built from source is for the machine on which
it was built.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from email.parser import HeaderParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hotwhisk.build.layout import Members, digest_of_members
from hotwhisk.build.resolver import INSTALL
from hotwhisk.errors import BuildFailed, UsageError

if TYPE_CHECKING:
    from hotwhisk.build.target import Target

_NOTES: Final = frozenset(
    {"INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"} | {"uv_build.json"}
)
_MANYLINUX: Final = re.compile(r"manylinux_(\d+)_(\d+)_")
_OLD_NAMES: Final = {"manylinux1": "2.5", "manylinux2010": "2.12", "manylinux2014": "2.17"}
_EXTENSION: Final = re.compile(r"\.cpython-(\d)(\d+)[a-z]*-([a-z0-9_]+)-linux-(gnu|musl)\w*\.so$")


@dataclass(slots=True)
class Packages:
    """
    The libraries of an artifact.

    ``members`` are relative to site-packages. ``glibc`` is the least that their native code needs,
    empty if there is none. ``rows`` are those of the manifest.
    """

    members: Members = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    native: bool = False
    glibc: str = ""


def collect(folder: Path, target: Target) -> Packages:
    """
    Return the libraries that were installed into ``folder``.

    Raises:
        BuildFailed: one of the libraries is for another target.
    """
    found = Packages(_read_tree(folder))
    supported = _supported(target)
    for info in sorted(name for name in os.listdir(folder) if name.endswith(".dist-info")):
        own = _own_files(found.members, info)
        found.members[f"{info}/RECORD"] = (stat.S_IFREG | 0o644, _record(own))
        own[f"{info}/RECORD"] = found.members[f"{info}/RECORD"]
        stated = HeaderParser().parsestr(_text(own, f"{info}/METADATA"))
        tags = _tags(_text(own, f"{info}/WHEEL"))
        name, version = str(stated["Name"]), str(stated["Version"])
        fitting = [tag for tag in tags if tag in supported]
        if tags and not fitting:
            raise BuildFailed(
                f"{name} {version} is for {', '.join(tags)}; the target is {target} with glibc "
                f"{target.glibc[0]}.{target.glibc[1]}"
            )
        _refuse_editable(folder / info, f"{name} {version}")
        native = bool(fitting) and not any(tag.endswith("-any") for tag in fitting)
        check_extensions(own, target, f"{name} {version}: ")
        found.native |= native or any(each.endswith(".so") for each in own)
        found.glibc = max(found.glibc, _glibc(fitting) if native else "", key=_numbers)
        size = sum(len(content) for _, content in own.values())
        found.rows.append(
            {
                "name": name, "version": version, "bytes": size,
                "tag": min(fitting, key=_numbers_in, default=""), "digest": digest_of_members(own),
            }
        )  # fmt: skip
    return found


def check_extensions(names: Iterable[str], target: Target, whose: str = "") -> bool:
    """
    Return whether there are extension modules that name their Python; check that they fit the
    target.

    Raises:
        BuildFailed: one is for another target, by its name.
    """
    found = False
    for name in names:
        if match := _EXTENSION.search(name):
            found = True
            python, machine = f"{match[1]}.{match[2]}", match[3]
            if (python, machine, match[4]) != (target.python, target.machine, "gnu"):
                raise BuildFailed(
                    f"{whose}{name} is for Python {python} on {machine} with {match[4]}; "
                    f"the target is {target}"
                )
    return found


def _read_tree(folder: Path) -> Members:
    members: Members = {}
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        if Path(top) == folder:
            folders[:] = [name for name in folders if name != "bin"]  # scripts
        for name in sorted(files):
            path = Path(top, name)
            if name in _NOTES and top.endswith(".dist-info"):
                continue
            if (Path(top) == folder and name == ".lock") or not path.is_file():
                continue
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            members[path.relative_to(folder).as_posix()] = (stat.S_IFREG | mode, path.read_bytes())
    return members


def _own_files(members: Members, info: str) -> Members:
    """Return the files of one library by its RECORD."""
    rows = csv.reader(io.StringIO(_text(members, f"{info}/RECORD")))
    names = {row[0] for row in rows if row} | {
        name for name in members if name.startswith(f"{info}/")
    }
    return {name: members[name] for name in sorted(names) if name in members}


def _refuse_editable(info: Path, whose: str) -> None:
    """Refuse an editable library, which an older uv left in its folder on this machine."""
    try:
        stated = json.loads((info / "direct_url.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    if stated.get("dir_info", {}).get("editable"):
        raise BuildFailed(
            f"{whose} is editable, so it would stay on this machine: require its folder without "
            "-e, or build with a newer uv"
        )


def _record(own: Members) -> bytes:
    import base64

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for name, (_, content) in own.items():
        if name.endswith(".dist-info/RECORD"):
            writer.writerow((name, "", ""))
            continue
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        writer.writerow((name, f"sha256={digest}", len(content)))
    return out.getvalue().encode()


def _supported(target: Target) -> set[str]:
    """Return the tags of wheels that run on the target."""
    try:
        from packaging.tags import compatible_tags, cpython_tags
    except ImportError:
        raise UsageError(f"packaging is needed: {INSTALL}") from None
    major, minor = map(int, target.python.split("."))
    platforms = [f"manylinux_2_{each}_{target.machine}" for each in range(target.glibc[1], 4, -1)]
    platforms += [f"{old}_{target.machine}" for old in _OLD_NAMES]
    here = os.uname()
    if (here.sysname, here.machine) == ("Linux", target.machine):
        platforms.append(f"linux_{target.machine}")  # built here from source
    version = (major, minor)
    tags = [*cpython_tags(version, platforms=platforms)]
    tags += compatible_tags(version, f"cp{major}{minor}", platforms)
    return set(map(str, tags))


def _tags(wheel: str) -> list[str]:
    """Return each tag that a wheel states, with sets of tags taken apart."""
    from packaging.tags import parse_tag

    stated = HeaderParser().parsestr(wheel).get_all("Tag", [])
    return sorted({str(tag) for each in stated for tag in parse_tag(each)})


def _glibc(tags: list[str]) -> str:
    """Return the least glibc that one of these tags requires."""
    asked = []
    for platform in (tag.rpartition("-")[2] for tag in tags):
        if found := _MANYLINUX.match(platform):
            asked.append(f"{found[1]}.{found[2]}")
        elif platform.startswith("linux_"):
            asked.append((os.confstr("CS_GNU_LIBC_VERSION") or "glibc 2.17").split()[-1])
        else:
            asked.append(_OLD_NAMES.get(platform.partition("_")[0], "2.17"))
    return min(asked, key=_numbers, default="")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part)


def _numbers_in(tag: str) -> tuple[tuple[int, ...], str]:
    return tuple(int(part) for part in re.findall(r"\d+", tag)), tag


def _text(members: Members, name: str) -> str:
    return members[name][1].decode("utf-8", "replace") if name in members else ""
