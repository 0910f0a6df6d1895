"""
Run the compiler of an image for another language, and check the name of its environment.

A compiler is a program. Its arguments are the name of the handler, a folder with the posted code (a
single file is named ``exec``) and a folder for its output, where it must leave ``exec``. It has
failed if its exit status is not 0, or if there is no ``exec``. Its output alone is not a failure,
because compilers print warnings.
"""

from __future__ import annotations

import os

from hotwhisk.actionloop.relay import write
from hotwhisk.artifact.artifact import PROGRAM, Kind
from hotwhisk.errors import BuildFailed, LoadFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from hotwhisk.artifact.artifact import Compile, Unpacked
    from hotwhisk.config.config import Config

ENVIRONMENT: Final = "exec.env"
MISMATCH: Final = "Executor environment version mismatch. See logs for details."


def compiler(config: Config, main: str) -> Compile | None:
    """Return the image's compiler, if it has one, for a handler called ``main``."""
    command = config.compiler
    if command is None:
        return None

    def compile_and_log(source: str, target: str) -> None:
        if output := run(command, main, (source, target)):
            write(2, output)

    return compile_and_log


def run(
    command: str, main: str, folders: tuple[str, str], environ: Mapping[str, str] | None = None
) -> bytes:
    """
    Compile from the first folder into the second, and return the output of the compiler.

    Raises:
        BuildFailed: the compiler failed. The text of the error is the compiler's output.
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
    output = done.stdout.decode(errors="replace").strip()
    if done.returncode:
        raise BuildFailed(output or f"the compiler left with status {done.returncode}")
    if not os.path.isfile(f"{target}/{PROGRAM}"):
        raise BuildFailed(f"cannot compile: the compiler left no {PROGRAM}\n{output}".strip())
    return done.stdout


def check_environment(unpacked: Unpacked, config: Config) -> None:
    """
    Refuse a program that was compiled for another environment, if the image names its own.

    Raises:
        LoadFailed: the program names another environment, or none.
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
