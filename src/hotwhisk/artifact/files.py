"""Files and folders of actions: what they are called, and how they are taken away."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def name_of(path: Path) -> str:
    """The name of the action in a file or folder. What follows a dot is an ending of files only."""
    whole = path.resolve()
    return whole.name if whole.is_dir() else whole.stem


def remove(folder: str) -> None:
    """Remove an unpacked artifact, as far as that can be done. Links are removed, not followed."""
    try:
        with os.scandir(folder) as entries:
            for entry in list(entries):
                if entry.is_dir(follow_symlinks=False):
                    remove(entry.path)
                else:
                    os.unlink(entry.path)
        os.rmdir(folder)
    except OSError:  # gone, or the action took the rights away
        pass
