"""Where a server lives: how many descriptors it may have, and the folder for what it keeps."""

from __future__ import annotations

import os
import resource
import stat
from typing import TYPE_CHECKING

from hotwhisk.artifact import artifact
from hotwhisk.config import default_run_dir
from hotwhisk.errors import StartError
from hotwhisk.places import control_path, place_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hotwhisk.config import Config

MOST_DESCRIPTORS = 65536
MOST_CONNECTIONS = 16384
FEWEST_CONNECTIONS = 8
OWN_DESCRIPTORS = 32
"""What the server needs for itself: its sockets, the desk, templates, artifacts that wait."""

WORKER_DESCRIPTORS = 6
"""For each of ``--workers``: channel, pidfd and an idle spill; and again while it is replaced."""

LONGEST_SOCKET = 107
"""Bytes of the path of a unix socket."""


def capacity(config: Config) -> int:
    """
    How many connections: each may need three descriptors, its socket, a spill, and the room
    that a hand-over takes.

    Raises:
        StartError: too few descriptors for any.
    """
    most, wanted, (soft, hard) = descriptors(config.workers)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if most < FEWEST_CONNECTIONS:
        raise StartError(f"the limit of {soft} open files is too low; raise it: ulimit -n 1024")
    return min(most, config.connections or most)


def descriptors(workers: int) -> tuple[int, int, tuple[int, int]]:
    """
    How many connections the limit of open files is good for beside so many workers, the limit
    that a server sets itself, and the one that it finds.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    left = max(soft, wanted) - OWN_DESCRIPTORS - WORKER_DESCRIPTORS * workers
    return min(MOST_CONNECTIONS, left // 3), wanted, (soft, hard)


def open_folder(config: Config, environ: Mapping[str, str]) -> str:
    """
    The folder for control sockets and unpacked versions, which only its owner may write to.

    Raises:
        StartError: there can be none.
    """
    folder = os.path.abspath(config.run_dir or default_run_dir(environ, os.getuid()))
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        found = os.stat(folder)
    except OSError as error:
        raise _unusable(folder, error) from error
    if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StartError(f"{folder} can be written by others; give --run-dir another folder")
    if len(control_path(folder, place_of(config.host, config.port))) > LONGEST_SOCKET:
        raise StartError(f"{folder} is too long for the path of a socket; give --run-dir another")
    return folder


def prepare_folder(config: Config, environ: Mapping[str, str]) -> tuple[str, str]:
    """
    That folder, and what this server's own are called in it: an empty folder is there for it.

    Raises:
        StartError: there can be none.
    """
    folder, place = open_folder(config, environ), place_of(config.host, config.port)
    mine = f"{folder}/{place}"
    try:
        artifact.remove(mine)
        os.makedirs(mine, mode=0o700)
    except OSError as error:
        raise _unusable(folder, error) from error
    return folder, place


def _unusable(folder: str, error: OSError) -> StartError:
    return StartError(f"cannot use {folder}: {error.strerror}; give --run-dir a writable folder")
