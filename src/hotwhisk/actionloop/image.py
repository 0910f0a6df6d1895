"""Read the variables in which an image for another language describes itself. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotwhisk.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def image_compiler(environ: Mapping[str, str]) -> str | None:
    """What the image compiles with; in an image for Python nothing, since that is our own work."""
    python = "python" in environ.get("OW_EXECUTION_ENV", "")
    return None if python else environ.get("OW_COMPILER") or None


def image_jar(environ: Mapping[str, str]) -> str | None:
    """
    The name of the file that the image's compiler finds a Java archive in.

    Raises:
        UsageError: it is a path.
    """
    name = environ.get("OW_SAVE_JAR") or None
    if name is not None and ("/" in name or name in (".", "..")):
        raise UsageError(f'OW_SAVE_JAR: expected the name of a file, got "{name}"')
    return name
