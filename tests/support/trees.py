"""Make folders as a hostile action leaves them: deep, without rights, full of links."""

from __future__ import annotations

import os
from pathlib import Path


def nest(top: Path, levels: int) -> None:
    """Make ``levels`` folders inside each other, with a file in the last one."""
    top.mkdir(parents=True, exist_ok=True)
    here = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("last", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


NEST = """
import os
def nest(levels):
    here = os.open(".", os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
"""
"""Source for an action: `nest` in its working directory, without the file."""

TAKE_RIGHTS = """
import os
def take_rights():
    for name in ("a", "a/b", "a/b/c"):
        os.mkdir(name)
        open(name + "/file", "w").close()
    for name, mode in (("a/b/c", 0), ("a/b", 0o500), ("a", 0o500), (".", 0o500)):
        os.chmod(name, mode)
"""
"""Source for an action: folders that their owner cannot write to, and one without any rights."""
