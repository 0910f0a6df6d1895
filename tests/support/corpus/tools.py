"""Install programs that tests need, such as those that compile actions, if they are missing."""

from __future__ import annotations

import os
import shutil

from tests.support.corpus.cache import CACHE, Unbuildable, call

PACKAGES = {
    "bash": "bash", "cc": "gcc", "fish": "fish", "go": "golang-go", "node": "nodejs",
    "perl": "perl", "zsh": "zsh",
}  # fmt: skip
"""Debian's names of their packages."""


def require(program: str) -> str:
    """
    Return the path of a program.

    Raises:
        Unbuildable: it is missing and cannot be installed, and why.
    """
    found = shutil.which(program)
    if found is None:
        _install(program)
        found = shutil.which(program)
    if found is None:
        raise Unbuildable(f"{PACKAGES[program]} was installed and brought no {program}")
    return found


def _install(program: str) -> None:
    package = PACKAGES[program]
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid():
        raise Unbuildable(
            f"there is no {program}, and only root can install it: apt install {package}"
        )
    CACHE.mkdir(parents=True, exist_ok=True)
    environ = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    install = [apt, "install", "--yes", "--quiet", "--no-install-recommends", package]
    try:
        call(f"installing {package}", install, CACHE, environ)
    except Unbuildable:  # the list of packages is old, or was never fetched
        call("apt-get update", [apt, "update", "--quiet"], CACHE, environ)
        call(f"installing {package}", install, CACHE, environ)
