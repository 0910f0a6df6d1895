"""
Where a server lives: how many descriptors it may have, and the folder for what it keeps.
"""

from __future__ import annotations

import os
import resource
import stat
from typing import TYPE_CHECKING

from hotwhisk import artifact
from hotwhisk.config import default_run_dir, place_of
from hotwhisk.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hotwhisk.config import Config

MOST_DESCRIPTORS = 65536
MOST_CONNECTIONS = 16384


def capacity(config: Config) -> int:
    """
    How many connections: each may need three descriptors, its socket, a spill, and the room
    that a hand-over takes.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    most = min(MOST_CONNECTIONS, max(soft, wanted) // 3)
    if most < 8:
        raise StartError(f"the limit of {soft} open files is too low; raise it: ulimit -n 1024")
    return min(most, config.connections or most)


def prepare_folder(config: Config, environ: Mapping[str, str]) -> tuple[str, str]:
    """
    The folder for the control socket and unpacked versions, which only its owner may enter; and
    what this server's own are called in it.
    """
    folder = os.path.abspath(config.run_dir or default_run_dir(environ, os.getuid()))
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        found = os.stat(folder)
        if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise StartError(f"{folder} can be written by others; give --run-dir another folder")
        place = place_of(config.host, config.port)
        mine = f"{folder}/{place}"
        artifact.remove(mine)
        os.makedirs(mine, mode=0o700)
    except OSError as error:
        raise StartError(
            f"cannot use {folder}: {error.strerror}; give --run-dir a writable folder"
        ) from error
    return folder, place
