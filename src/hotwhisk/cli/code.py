"""Turn a file or a folder into the code in the body of an ``/init``."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path

from hotwhisk.artifact.kinds import BINARY_STARTS
from hotwhisk.cli.files import reason, require_file
from hotwhisk.errors import UsageError


def read_code(name: str) -> tuple[str, bool]:
    """Return ``code`` and ``binary`` of an /init body: source as text, all else in base64."""
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
    if content.startswith(BINARY_STARTS) or zipfile.is_zipfile(io.BytesIO(content)):
        return base64.b64encode(content).decode(), True
    try:
        return content.decode("utf-8-sig"), False
    except UnicodeDecodeError:
        raise UsageError(
            f"{name} is neither text in UTF-8 nor an archive; "
            "expected a .py file, a folder, a zip, a tar.gz or a built artifact"
        ) from None


def zip_folder(folder: Path) -> bytes:
    """Return a zip of a folder with ``__main__.py``. The same content gives the same bytes."""
    if not any((folder / entry).exists() for entry in ("__main__.py", "exec")):
        below = next((each.parent for each in sorted(folder.glob("*/__main__.py"))), None)
        hint = f"; did you mean {below}?" if below else ""
        raise UsageError(f"{folder} has no __main__.py, which a folder needs for its handler{hint}")
    from hotwhisk.build.layout import zip_members
    from hotwhisk.build.sources import read_folder

    return zip_members(read_folder(folder, follow=True))
