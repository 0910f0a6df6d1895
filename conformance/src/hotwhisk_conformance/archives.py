"""Make archives as a user makes them: zip with Unix modes, base64."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Collection, Mapping


def zipped(files: Mapping[str, str | bytes], executable: Collection[str] = ()) -> str:
    """Return a zip of these files in base64, as ``wsk`` posts it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            member = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            member.external_attr = (0o100755 if name in executable else 0o100644) << 16
            archive.writestr(member, data)
    return encoded(content.getvalue())


def without(content: bytes, names: Collection[str]) -> bytes:
    """Return the same zip without some members; modes and links stay."""
    result = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for member in old.infolist():
            if member.filename not in names:
                new.writestr(member, old.read(member))
    return result.getvalue()


def encoded(content: str | bytes) -> str:
    """Return the content in base64, without line breaks."""
    data = content.encode() if isinstance(content, str) else content
    return base64.b64encode(data).decode()
