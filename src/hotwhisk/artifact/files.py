"""Define the names of the files and folders of actions."""

from __future__ import annotations

from typing import Final

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

REQUIREMENTS: Final = "requirements.txt"
"""A file in the folder of an action. It lists libraries that the action needs but lacks."""


def action_name(path: Path) -> str:
    """Return the name of the action in a file or folder. Only files have an ending after a dot."""
    whole = path.resolve()
    return whole.name if whole.is_dir() else whole.stem
