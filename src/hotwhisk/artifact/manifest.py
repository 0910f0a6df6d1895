"""
Read and write the manifest of an artifact, and check whether the artifact can run here.

The manifest is a JSON object in a file of its own: ``hotwhisk.json`` at the top of an artifact,
``virtualenv/hotwhisk.json`` in a zip that other servers take as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, Final

FORMAT: Final = 2
ANY: Final = "any"
LEAST_PYTHON: Final = ">=3.11"
"""The Python of an artifact without libraries and native code."""


class Manifest(Record):
    """
    The content of a manifest.

    ``entry`` is the file to run and ``main`` the handler in it. ``python`` is one version as
    ``3.12``, or `LEAST_PYTHON`. ``platform`` is as ``linux/amd64``, or `ANY`. ``glibc`` is the
    least version of it that the native code needs, or empty. ``digest`` names the action's own
    files, ``packages_digest`` those of its libraries. ``packages`` has a row for each library:
    name, version, tag of the wheel, digest, bytes. ``bytecode`` is the Python that compiled it.
    """

    name: str
    entry: str
    main: str
    hotwhisk: str
    digest: str
    python: str = LEAST_PYTHON
    platform: str = ANY
    glibc: str = ""
    bytecode: str = ""
    packages_digest: str = ""
    packages: tuple[Mapping[str, Any], ...] = ()
    format: int = FORMAT


class Here(Record):
    """The platform on which an artifact is to run; ``glibc`` is empty if there is another libc."""

    python: str
    platform: str
    glibc: str = ""


def write(manifest: Manifest) -> bytes:
    """Return the manifest as a file."""
    stated = {name: getattr(manifest, name) for name in manifest.fields}
    return (json.dumps(stated, indent=2, sort_keys=True) + "\n").encode()


def read(content: bytes) -> Manifest:
    """
    Return the manifest in a file; ignore fields that this version does not know.

    Raises:
        ValueError: it is not a manifest, or of a format that this version does not read; the text
            says what to do.
    """
    stated = json.loads(content)
    form = stated.get("format") if isinstance(stated, dict) else None
    if form != FORMAT:
        raise ValueError(
            f"the artifact has format {form}, this version reads {FORMAT}: "
            "build it again with this version of hotwhisk"
        )
    known = {name: stated[name] for name in Manifest.fields if name in stated}
    try:
        manifest = Manifest(**known)
    except TypeError as error:
        raise ValueError(str(error)) from None
    texts = [getattr(manifest, name) for name in Manifest.fields if name not in _NO_TEXTS]
    if not all(isinstance(text, str) for text in texts) or "/" in manifest.entry:
        raise ValueError("it must name a file and a handler")
    return manifest


_NO_TEXTS: Final = frozenset({"format", "packages"})


def misfit(manifest: Manifest, here: Here) -> str:
    """Return why an artifact for another platform cannot run here, or an empty text if it can."""
    python = manifest.python in (LEAST_PYTHON, here.python)
    platform = manifest.platform in (ANY, here.platform)
    if not (python and platform):
        wanted = f"Python {manifest.python.removeprefix('>=')}"
        found = f"Python {here.python}"
        flags = f"--python {here.python}"
        if manifest.platform != ANY:
            wanted += f" on {manifest.platform}"
            found += f" on {here.platform}"
            flags += f" --platform {here.platform}"
        return f"the artifact is for {wanted}, this is {found}; build it with {flags}"
    if manifest.glibc and not here.glibc:
        return f"the artifact is for glibc {manifest.glibc} or newer, and this is another libc"
    if manifest.glibc and _numbers(here.glibc) < _numbers(manifest.glibc):
        return (
            f"the artifact is for glibc {manifest.glibc} or newer, this is glibc {here.glibc}; "
            f"build it with --platform manylinux_{here.glibc.replace('.', '_')}_"
            f"{MACHINES.get(here.platform.partition('/')[2], 'x86_64')}"
        )
    return ""


MACHINES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
"""The architecture by the name that containers use, and the one that wheels use."""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def action_name(path: Path) -> str:
    """Return the name of the action in a file or folder. Only files have an ending after a dot."""
    whole = path.resolve()
    return whole.name if whole.is_dir() else whole.stem
