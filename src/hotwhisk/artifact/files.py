"""
Folders that are taken away.
"""

from __future__ import annotations

import os


def remove(folder: str) -> None:
    """
    Remove an unpacked artifact, as far as that can be done. Links are removed, not followed.
    """
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
