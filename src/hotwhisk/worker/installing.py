"""Install the ``requirements.txt`` of an action within the time of its ``/init``."""

from __future__ import annotations

import os
import sys
from time import time
from typing import TYPE_CHECKING

from hotwhisk.action import requirements
from hotwhisk.action.isolation import environment
from hotwhisk.artifact import artifact
from hotwhisk.artifact.files import REQUIREMENTS
from hotwhisk.errors import BuildFailed

if TYPE_CHECKING:
    from hotwhisk.artifact.artifact import Unpacked
    from hotwhisk.artifact.snapshot import Snapshot
    from hotwhisk.config.config import Config


def install_unpacked(unpacked: Unpacked, libraries: str, config: Config) -> None:
    """Install the libraries of a folder's ``requirements.txt`` where the action looks for them."""
    folder = unpacked.folder
    content = requirements.wanted(folder)
    if content:
        seconds = _time_left(config)
        generation_folder = os.path.dirname(folder)
        unique = unpacked.digest
        try:
            place = requirements.install(
                content, folder, generation_folder, libraries, unique, seconds
            )
        except BuildFailed as error:
            if not config.openwhisk:  # OpenWhisk logs the text of any version that fails
                sys.stderr.write(f"{error}\n")
            raise
        os.symlink(place, f"{folder}/{requirements.VIRTUALENV}")


def _time_left(config: Config) -> float:
    """
    Return the seconds for an installation.

    These are the seconds of an ``/init``, or fewer if the platform sets an earlier deadline. Some
    of them are subtracted, so that the server can still send the reason of a failure.
    """
    left = config.init_timeout
    try:
        deadline = int(environment()["__OW_DEADLINE"]) / 1000 - time()
    except (KeyError, ValueError, OverflowError):
        deadline = 0.0
    if 0.0 < deadline < left:
        left = deadline
    return left - min(2.0, left / 10)


def install_beside(kept: Snapshot, folder: str, config: Config) -> str:
    """
    Install the libraries in a served folder's ``requirements.txt``, and return their place.

    The place is outside the folder, because the folder belongs to its author. Return an empty text
    if the file requires nothing.
    """
    content = kept.files.get(REQUIREMENTS, b"")
    if not requirements.are_wanted(kept.root, content):
        return ""
    generation_folder = os.path.dirname(folder)
    libraries = artifact.libraries_beside(generation_folder)
    seconds = _time_left(config)
    return requirements.install(content, kept.root, generation_folder, libraries, folder, seconds)
