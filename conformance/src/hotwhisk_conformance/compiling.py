"""
``-compile``: let the runtime make an archive that needs no compiling from sources on
its stdin.
"""

from __future__ import annotations

import base64
import io
import subprocess
import zipfile
from functools import cached_property

import pytest

from hotwhisk_conformance.archives import zipped
from hotwhisk_conformance.session import not_run
from hotwhisk_conformance.target import Target

MAIN = """\
import {module}

def main(args):
    return {{"agent": {module}.__name__, "file": {module}.__file__}}

naim = main
"""


class Compiled:
    """The archive that V1 to V3 post, made once, when it is first needed."""

    def __init__(self, target: Target, requirement: str, timeout: float) -> None:
        self._target = target
        self._requirement = requirement
        self._timeout = timeout

    def content(self) -> bytes:
        """Return the archive; skip the case if there can be none, fail it if making it fails."""
        if self._target.compiler("main") is None:
            not_run("needs the command that compiles: give --compile-command")
        content, problem = self._made
        if problem:
            pytest.fail(f"-compile main: {problem}", pytrace=False)
        return content

    @cached_property
    def _made(self) -> tuple[bytes, str]:
        package, _, module = self._requirement.partition(":")
        module = module or package.partition("=")[0].replace("-", "_")
        files = {"__main__.py": MAIN.format(module=module), "requirements.txt": f"{package}\n"}
        command = self._target.compiler("main") or []
        try:
            done = subprocess.run(
                command,
                input=base64.b64decode(zipped(files)),
                capture_output=True,
                check=False,
                timeout=self._timeout,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return b"", str(error)
        message = done.stderr.decode("utf-8", "replace").strip()
        if done.returncode:
            return b"", f"exit code {done.returncode}: {message}"
        if not zipfile.is_zipfile(io.BytesIO(done.stdout)):
            return b"", f"standard output is no zip; standard error: {message}"
        return done.stdout, ""
