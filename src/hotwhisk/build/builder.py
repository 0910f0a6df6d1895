"""
Build an action into an artifact.

An artifact is a ``#!`` line and a zip: the action below ``action/``, its libraries below
``virtualenv/``, the hotwhisk package itself, a bootstrap as ``__main__.py``, and a manifest. Python
runs such a file as it is, importing from the zip without unpacking it. In the form of a zip, the
action lies at the top and hotwhisk is left out: that is what OpenWhisk's own images take.

The same inputs give the same bytes: members are sorted, dates fixed, modes reduced to "executable
or not", and nothing of the machine is recorded. The package is stored as source. It is written
beside the output and renamed, so an artifact in use is never half new.
"""

from __future__ import annotations

import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import hotwhisk
from hotwhisk.action.installation import ACTIVATE
from hotwhisk.artifact import manifest as manifests
from hotwhisk.artifact.artifact import FOLDER_ENTRY
from hotwhisk.artifact.built import CODE_FOLDER, PACKAGES_FOLDER
from hotwhisk.artifact.kinds import MANIFEST
from hotwhisk.artifact.manifest import Manifest, action_name
from hotwhisk.build import advice, bytecode, layout, sources
from hotwhisk.build.layout import Members, below, digest_of_members
from hotwhisk.build.own_package import own_package
from hotwhisk.build.packages import Packages, check_extensions, collect
from hotwhisk.build.requirements import Requirements
from hotwhisk.build.resolver import find_uv, install
from hotwhisk.build.target import Target, find_interpreter, target
from hotwhisk.errors import UsageError

_FILE: Final = stat.S_IFREG | 0o644
_TESTS: Final = frozenset({"tests", "test"})


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """
    How to build: for which target, with which requirements, as an artifact or ``as_zip``.

    ``sdists`` lets libraries without a wheel be built from source. Without ``bytecode`` the file is
    smaller and the first import slower.
    """

    target: Target = field(default_factory=target)
    requirements: Requirements | None = None
    as_zip: bool = False
    sdists: bool = False
    bytecode: bool = True


@dataclass(frozen=True, slots=True)
class Built:
    """The path that was written, its size in bytes, and the notes for its maker."""

    manifest: Manifest
    size: int
    notes: tuple[str, ...] = ()


def build(
    source: Path,
    output: Path,
    main: str = "main",
    name: str | None = None,
    options: BuildOptions | None = None,
) -> Built:
    """
    Build a file, or a folder with ``__main__.py``, into the file ``output``.

    Raises:
        UsageError: the source, the output or the requirements are not what they should be.
        BuildFailed: the source does not compile, or the requirements cannot be met.
    """
    options = options or BuildOptions()
    layout.check_output(output)
    members, entry = sources.read_source(source, output)
    interpreter, version = find_interpreter(options.target, find_uv())
    members, notes = _check(source, members, entry, main, interpreter)
    own = digest_of_members(members)
    native = check_extensions(members, options.target)
    found = _packages(options, members)
    notes += advice.undeclared(_entry_path(source), members, found.members)
    compiled = _compile(options, found, interpreter, notes)
    bound = native or bool(found.rows)
    stated = Manifest(
        name=name or action_name(source),
        entry=FOLDER_ENTRY if options.as_zip else entry,
        main=main,
        hotwhisk=hotwhisk.__version__,
        digest=own,
        python=options.target.python if bound else manifests.LEAST_PYTHON,
        platform=options.target.platform if native or found.native else manifests.ANY,
        glibc=found.glibc,
        bytecode=version if compiled else "",
        packages_digest=digest_of_members(found.members) if found.rows else "",
        packages=tuple(found.rows),
    )
    site = f"{PACKAGES_FOLDER}/lib/python{options.target.python}/site-packages"
    content = _pack(members, below(site, {**found.members, **compiled}), stated, entry, options)
    layout.write(output, content, 0o644 if options.as_zip else 0o755)
    return Built(stated, len(content), tuple(notes))


def _check(
    source: Path, members: Members, entry: str, main: str, interpreter: str
) -> tuple[Members, list[str]]:
    """
    Refuse sources that cannot work; return the members and notes about them.

    If there is no Python of the target, this Python compiles the sources, and its errors are only
    notes.
    """
    import sys

    judged = {name: each for name, each in members.items() if stat.S_ISREG(each[0])}
    if not entry.endswith(".py"):
        judged[f"{entry}.py"] = judged[entry]
    _, broken = bytecode.compile_members(judged, interpreter or sys.executable)
    if f"{entry}.py" in broken:
        broken[entry] = broken.pop(f"{entry}.py")
    notes = []
    if interpreter:
        sources.refuse_broken(source, entry, broken)
    elif broken:
        notes.append(f"not checked by a Python of the target: {', '.join(sorted(broken))}")
    place = _entry_path(source)
    content = place.read_bytes()
    sources.check_handler(place, content, main)
    if source.is_file():
        notes += advice.refuse_lone_file(source, content)
    else:
        notes += advice.notes(source, members)
    return members, notes


def _entry_path(source: Path) -> Path:
    """Return the file that has the handler; among the members it may be a link to another one."""
    return source if source.is_file() else source / FOLDER_ENTRY


def _compile(options: BuildOptions, found: Packages, interpreter: str, notes: list[str]) -> Members:
    """Return bytecode of the libraries without their tests, which are large and not imported."""
    if not (found.members and options.bytecode):
        return {}
    if not interpreter:
        python = options.target.python
        notes.append(
            f"not byte-compiled: there is no Python {python} on this machine; "
            f"uv python install {python} fetches one"
        )
        return {}
    wanted = {
        name: member
        for name, member in found.members.items()
        if not _TESTS.intersection(name.split("/")[:-1])
    }
    return bytecode.compile_members(wanted, interpreter)[0]


def _packages(options: BuildOptions, members: Members) -> Packages:
    if options.requirements is None:
        return Packages()
    if any(name.startswith(f"{PACKAGES_FOLDER}/") for name in members):
        raise UsageError(
            f"the folder has a {PACKAGES_FOLDER}/ of its own already: remove it, or give "
            "--no-requirements"
        )
    with tempfile.TemporaryDirectory(prefix="hotwhisk-build-") as work:
        folder = Path(work, "packages")
        folder.mkdir()
        install(options.requirements, options.target, folder, Path(work), sdists=options.sdists)
        return collect(folder, options.target)


def _pack(
    members: Members, packages: Members, stated: Manifest, entry: str, options: BuildOptions
) -> bytes:
    """Return all of it as one file."""
    manifest = (_FILE, manifests.write(stated))
    if options.as_zip:
        members = dict(members)
        members[FOLDER_ENTRY] = members.pop(entry)
        if packages:
            activate = f"{PACKAGES_FOLDER}/bin/activate_this.py"
            members[activate] = (_FILE, ACTIVATE.encode())
            members[f"{PACKAGES_FOLDER}/{MANIFEST}"] = manifest
        return layout.zip_members({**members, **packages})
    whole = {**below(CODE_FOLDER, members), **packages, **own_package(), MANIFEST: manifest}
    python = "3" if stated.python == manifests.LEAST_PYTHON else stated.python
    return f"#!/usr/bin/env python{python}\n".encode() + layout.zip_members(whole)
