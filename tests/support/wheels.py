"""Make wheels by hand, so that a test knows their content and needs no index."""

from __future__ import annotations

import zipfile
from pathlib import Path


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    tag: str = "py3-none-any",
    files: dict[str, str] | None = None,
    stated: str = "",
) -> Path:
    """Make a wheel in ``folder``; ``stated`` is the tag inside it, otherwise that of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    info = f"{name}-{version}.dist-info"
    contents = {f"{name}.py": f"VERSION = {version!r}\n"} if files is None else dict(files)
    contents[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    contents[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: {stated or tag}\n"
    )
    record = "".join(f"{each},,\n" for each in [*contents, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for each, text in contents.items():
            archive.writestr(each, text)
        archive.writestr(f"{info}/RECORD", record)
    return path
