"""
Read and check files that commands are given by name.

`serve` uses them while callers wait for its first answer, so no large module is imported.
"""

from __future__ import annotations

import os

from hotwhisk.errors import UsageError


def require_file(name: str) -> None:
    """Check that a file or folder exists. The error proposes a similar name."""
    if os.path.exists(name):
        return
    if os.path.islink(name):
        target = os.readlink(name)
        raise UsageError(f"{name} is a link to {target}, which does not exist; correct the link")
    from hotwhisk.config.suggestions import nearest_file

    path, colon, handler = name.rpartition(":")
    if colon and handler.isidentifier():
        given = path if os.path.exists(path) or path.endswith(".py") else f"--module {path}"
        if os.path.exists(f"{path}.py"):
            given = f"{path}.py"
        raise UsageError(f"there is no {name}; did you mean {given} --main {handler}?")
    folder, missing = os.path.split(name)
    names = os.listdir(folder or ".") if os.path.isdir(folder or ".") else []
    close = nearest_file(missing, names)
    hint = f"; did you mean {os.path.join(folder, close)}?" if close else ""
    raise UsageError(f"there is no {name}{hint}")


def reason(error: Exception) -> str:
    """Return the system's text about a failure, without numbers and names."""
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__)
