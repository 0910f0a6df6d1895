"""Files and folders of actions: what they are called."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def name_of(path: Path) -> str:
    """The name of the action in a file or folder. What follows a dot is an ending of files only."""
    whole = path.resolve()
    return whole.name if whole.is_dir() else whole.stem
