"""
Compile bytecode for a target, by a Python of that version.

It is compiled in separate processes, with a fixed seed for hashes, in a fixed order and split in a
fixed way: the compiler's output depends on the texts that the process has met before. The pycs hold
a hash of their source that is not checked (PEP 552), because dates in an archive mean nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from hotwhisk.build.layout import Members
from hotwhisk.errors import BuildFailed

PROCESSES: Final = 4

_WORKER: Final = """
import importlib.util, json, marshal, sys, warnings
warnings.simplefilter("ignore")
head = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")
broken = {}
for name in json.load(sys.stdin):
    with open(name, "rb") as file:
        source = file.read()
    try:
        code = compile(source, name, "exec", dont_inherit=True, optimize=0)
        with open(name + "c", "xb") as file:
            file.write(head + importlib.util.source_hash(source) + marshal.dumps(code))
    except SyntaxError as error:
        broken[name] = (error.lineno or 0, error.msg, (error.text or "").rstrip())
    except (ValueError, RecursionError, MemoryError) as error:
        broken[name] = (0, str(error), "")
print(json.dumps([sys.implementation.cache_tag, broken]))
"""


@dataclass(frozen=True, slots=True)
class Broken:
    """Says why a source does not compile; ``line`` is 0 if it is not known."""

    line: int
    reason: str
    text: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.reason}" + (f"\n  {self.text}" if self.text else "")


def compile_members(members: Members, interpreter: str) -> tuple[Members, dict[str, Broken]]:
    """
    Return the bytecode of all sources among the members, and the sources that do not compile.

    Raises:
        BuildFailed: the interpreter ended before it was done.
    """
    names = sorted(name for name in members if name.endswith(".py"))
    compiled: Members = {}
    broken: dict[str, Broken] = {}
    with tempfile.TemporaryDirectory(prefix="hotwhisk-build-") as folder:
        for name in names:
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(members[name][1])
        tag = _run(names, interpreter, folder, broken)
        for name in names:
            path = Path(folder, name + "c")
            if name not in broken:
                pure = PurePosixPath(name)
                where = pure.parent / "__pycache__" / f"{pure.stem}.{tag}.pyc"
                compiled[str(where)] = (members[name][0] & ~0o111, path.read_bytes())
    return compiled, broken


def _run(names: list[str], interpreter: str, folder: str, broken: dict[str, Broken]) -> str:
    """Compile in several processes. The names of the bytecode contain the tag."""
    parts = [part for part in (names[at::PROCESSES] for at in range(PROCESSES)) if part]
    environment = {"PYTHONHASHSEED": "0", "PATH": os.environ.get("PATH", os.defpath)}
    running = []
    tag = ""
    try:
        for part in parts:
            process = subprocess.Popen(
                [interpreter, "-s", "-S", "-P", "-B", "-X", "utf8", "-c", _WORKER],
                cwd=folder,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            running.append(process)
            assert process.stdin is not None
            with suppress(BrokenPipeError), process.stdin:  # the error is in how the process ended
                process.stdin.write(json.dumps(part))
        for process in running:
            assert process.stdout is not None
            said = process.stdout.read()
            if process.wait():
                raise BuildFailed(
                    f"{interpreter} could not compile, it ended: {process.returncode}"
                )
            tag, failed = json.loads(said)
            broken.update({name: Broken(*why) for name, why in failed.items()})
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
    return tag
