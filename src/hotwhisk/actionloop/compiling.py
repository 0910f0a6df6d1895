"""
What an image for another language brings: its compiler, and the name of its environment.

A compiler is a program that is given the name of the handler, a folder with what was posted (a
single file under the name ``exec``) and a folder to fill; it must leave ``exec`` there. It has
failed if it says so or leaves none. What it prints is no failure: compilers have warnings.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from hotwhisk.actionloop.relay import write
from hotwhisk.artifact.artifact import PROGRAM, Kind
from hotwhisk.errors import BuildFailed, LoadFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hotwhisk.artifact.artifact import Compile, Unpacked
    from hotwhisk.config.config import Config

ENVIRONMENT: Final = "exec.env"
MISMATCH: Final = "Executor environment version mismatch. See logs for details."


def compiler(config: Config, main: str) -> Compile | None:
    """Return the image's compiler, if it has one, for a handler called ``main``."""
    command = config.compiler
    if command is None:
        return None

    def warned(source: str, target: str) -> None:
        if said := run(command, main, (source, target)):
            write(2, said)

    return warned


def run(
    command: str, main: str, folders: tuple[str, str], environ: Mapping[str, str] | None = None
) -> bytes:
    """
    Compile from the first folder into the second, and return what that printed.

    Raises:
        BuildFailed: it could not be compiled; its text is what the compiler said.
    """
    import subprocess

    source, target = (os.path.abspath(folder) for folder in folders)
    try:
        done = subprocess.run(
            [command, main, source, target],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environ,
            check=False,
        )
    except OSError as error:
        raise BuildFailed(f"the compiler {command} cannot be run: {error.strerror}") from error
    said = done.stdout.decode(errors="replace").strip()
    if done.returncode:
        raise BuildFailed(said or f"the compiler left with status {done.returncode}")
    if not os.path.isfile(f"{target}/{PROGRAM}"):
        raise BuildFailed(f"cannot compile: the compiler left no {PROGRAM}\n{said}".strip())
    return done.stdout


def check_environment(unpacked: Unpacked, config: Config) -> None:
    """
    A program may be served only where it was compiled for, if the image says what it is.

    Raises:
        LoadFailed: it was compiled for another environment, or says none.
    """
    if config.execution_env is None or unpacked.kind not in (Kind.EXECUTABLE, Kind.COMPILED):
        return
    try:
        with open(f"{unpacked.folder}/{ENVIRONMENT}", "rb", buffering=0) as file:
            found = file.read().decode(errors="replace").strip()
    except OSError:
        found = ""
    if found != config.execution_env:
        raise LoadFailed(
            f"{MISMATCH} Expected: {config.execution_env}, found: {found or 'no exec.env'}"
        )
