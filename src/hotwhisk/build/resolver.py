"""Resolve dependencies and install them into a folder by uv."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hotwhisk.build.requirements import Form, Requirements
from hotwhisk.build.runner import ToolRunner
from hotwhisk.errors import BuildFailed, UsageError

if TYPE_CHECKING:
    from hotwhisk.build.target import Target

INSTALL: Final = "pip install '.[build]' in a clone of hotwhisk, or pip install uv packaging"
"""How a user gets what the extra ``build`` installs."""

NO_UV: Final = f"uv is needed to resolve dependencies and was not found: {INSTALL}"
_UNREACHED: Final = ("error sending request", "dns error", "client error (Connect)")
_SOURCE_ONLY: Final = ("no usable wheels", "has no wheels", "building from source is disabled")


def find_uv() -> str:
    """Return the path of uv: the uv that the extra ``build`` installs, or else one on the PATH."""
    try:
        import uv

        return str(uv.find_uv_bin())
    except (ImportError, FileNotFoundError):
        return shutil.which("uv") or ""


def install(
    wanted: Requirements,
    target: Target,
    folder: Path,
    work: Path,
    *,
    sdists: bool = False,
    runner: ToolRunner | None = None,
) -> None:
    """
    Install what is required for the target into ``folder``; ``work`` is for temporary files.

    Raises:
        UsageError: there is no uv, or the requirements exclude the Python.
        BuildFailed: it cannot be resolved or fetched, and uv's reason.
    """
    runner = runner or ToolRunner()
    uv = find_uv()
    if not uv:
        raise UsageError(f"{wanted.path.name}: {NO_UV}")
    _check_python(wanted, target)
    given = ["-r", str(wanted.path.absolute())]
    if wanted.form is Form.UV_LOCK:
        given = ["--no-deps", "-r", str(_export(uv, wanted.path, work, runner))]
    command = [
        uv, "pip", "install", "--quiet", "--target", str(folder),
        "--python", target.interpreter or sys.executable,
        "--python-version", target.python, "--python-platform", target.uv_platform,
        *([] if sdists else ["--only-binary", ":all:"]), *given,
    ]  # fmt: skip
    done = runner.run(command, wanted.path.parent)
    if done.returncode:
        raise BuildFailed(_reason(done.stderr, wanted, target, sdists=sdists))


def _export(uv: str, lock: Path, work: Path, runner: ToolRunner) -> Path:
    """Turn a lock of uv into requirements with their hashes and conditions; return the file."""
    if not lock.with_name("pyproject.toml").is_file():
        raise UsageError(f"{lock} needs the pyproject.toml that it was made from beside it")
    path = work / "requirements.txt"
    done = runner.run(
        [
            uv, "export", "--quiet", "--frozen", "--no-dev", "--no-emit-project",
            "--format", "requirements.txt", "--output-file", str(path),
        ],
        lock.parent,
    )  # fmt: skip
    if done.returncode:
        raise BuildFailed(f"{lock.name} cannot be read by uv: {_plain(done.stderr)}")
    return path


def _check_python(wanted: Requirements, target: Target) -> None:
    """Check ``requires-python``, because uv does not read it from each project or lock."""
    if not wanted.python:
        return
    try:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet
    except ImportError:
        raise UsageError(f"packaging is needed: {INSTALL}") from None
    try:
        accepted = SpecifierSet(wanted.python)
    except InvalidSpecifier as error:
        raise UsageError(f"{wanted.path}: requires-python: {error}") from None
    if not any(f"{target.python}.{patch}" in accepted for patch in range(100)):
        raise UsageError(
            f"{wanted.path.name} wants Python {wanted.python}, the target is Python "
            f"{target.python}: give another with --python"
        )


def _reason(said: str, wanted: Requirements, target: Target, *, sdists: bool) -> str:
    """Return uv's output in a short form, as the reason of a failure."""
    text = _plain(said)
    if any(sign in text for sign in _UNREACHED):
        last = text.splitlines()[-1].strip().removeprefix("cause: ")
        first = text.splitlines()[0].strip()
        return f"{wanted.path.name}: the package index cannot be reached: {first}: {last}; try again when it can"
    hint = ""
    if not sdists and any(sign in text for sign in _SOURCE_ONLY):
        hint = (
            "\nonly wheels are taken; --allow-sdist lets uv build what has none, for this machine"
        )
    return f"{wanted.path.name} cannot be resolved for {target}:\n{text}{hint}"


def _plain(said: str) -> str:
    """Return uv's output from its error on, without empty lines."""
    lines = [line for line in said.splitlines() if line.strip()]
    at = next((n for n, line in enumerate(lines) if line.startswith("error: ")), 0)
    return "\n".join(lines[at:]).removeprefix("error: ").strip()
