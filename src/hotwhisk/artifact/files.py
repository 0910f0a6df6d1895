"""Files and folders of actions: what they are called."""

from __future__ import annotations

from typing import Final

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

REQUIREMENTS: Final = "requirements.txt"
"""In the folder of an action: libraries that it needs and does not bring along."""


def name_of(path: Path) -> str:
    """The name of the action in a file or folder. What follows a dot is an ending of files only."""
    whole = path.resolve()
    return whole.name if whole.is_dir() else whole.stem
