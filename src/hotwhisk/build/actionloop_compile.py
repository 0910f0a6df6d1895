"""
Write what ``-compile`` writes: an action in the layout of OpenWhisk's official Python images.

It is a flat zip. ``exec`` is a shell script that starts the launcher ``exec__.py``, which imports
the action from ``main__.py`` and speaks ActionLoop. ``exec.env`` names the image it is for.
``virtualenv/`` holds the libraries of ``requirements.txt``. The official images run ``exec``.
hotwhisk runs the Python in it and needs neither script.
"""

from __future__ import annotations

import ast
import os
import stat
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hotwhisk.action.installation import ACTIVATE, VIRTUALENV
from hotwhisk.actionloop import compiling
from hotwhisk.artifact import artifact
from hotwhisk.artifact.artifact import PROGRAM, SOURCE_ENTRY, Kind
from hotwhisk.artifact.kinds import LAUNCHER
from hotwhisk.artifact.snapshot import REQUIREMENTS
from hotwhisk.build.layout import Members, zip_members
from hotwhisk.config.platform import image_compiler, image_jar
from hotwhisk.errors import BuildFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

PYTHON: Final = f"{sys.version_info[0]}.{sys.version_info[1]}"
DEFAULT_ENVIRONMENT: Final = f"openwhisk/action-python-v{PYTHON}"
"""The name of the official image of this Python, which `exec.env` holds."""

EXEC: Final = """\
#!/bin/sh
cd "${0%/*}" || exit 1
expected=$(cat exec.env)
if [ -n "$__OW_EXECUTION_ENV" ] && [ "$expected" != "$__OW_EXECUTION_ENV" ]; then
  echo "Execution Environment Mismatch"
  echo "Expected: $expected"
  echo "Actual: $__OW_EXECUTION_ENV"
  exit 1
fi
PYTHONIOENCODING=UTF-8
export PYTHONIOENCODING
python=/usr/local/bin/python
[ -x "$python" ] || python=python3
exec "$python" exec__.py
"""

LAUNCH: Final = """\
# One request a line from standard input, one answer a line to descriptor 3.
import json
import os
import sys
import traceback

here = os.path.dirname(os.path.abspath(__file__))
if os.path.isdir(os.path.join(here, "virtualenv")):
    for folder in ("bin", "Scripts"):
        script = os.path.join(here, "virtualenv", folder, "activate_this.py")
        if os.path.exists(script):
            with open(script) as file:
                exec(compile(file.read(), script, "exec"), {"__file__": script})
            break
    else:
        sys.exit("Invalid virtualenv. Zip file does not include 'activate_this.py'.")

from main__ import MAIN as main

answers = os.fdopen(3, "wb")
if os.environ.get("__OW_WAIT_FOR_ACK"):
    answers.write(b'{"ok": true}\\n')
    answers.flush()
for line in iter(sys.stdin.buffer.readline, b""):
    request = json.loads(line)
    value = request.pop("value", None)
    for name, member in request.items():
        if member is not None:
            text = member if isinstance(member, str) else json.dumps(member)
            os.environ["__OW_" + name.upper()] = text
    try:
        result = main({} if value is None else value)
        answer = json.dumps(result, ensure_ascii=False)
    except Exception as error:
        traceback.print_exc()
        answer = json.dumps({"error": str(error)}, ensure_ascii=False)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    answers.write(answer.encode("utf-8", "backslashreplace") + b"\\n")
    answers.flush()
"""


def compile_action(content: bytes, main: str, environ: Mapping[str, str]) -> bytes:
    """
    Return the zip for a source or an archive.

    Code that is compiled already, or is a program of another language, is taken as it is.
    ``OW_COMPILER`` in ``environ`` compiles all other code.

    Raises:
        BuildFailed: it cannot be compiled, and why.
    """
    hook = image_compiler(environ)

    def by_hook(source: str, target: str) -> None:
        said = compiling.run(hook or "", main, (source, target), environ)
        sys.stderr.buffer.write(said)

    with tempfile.TemporaryDirectory(prefix="hotwhisk-compile-") as work:
        folder = Path(work, "bin")
        jar = image_jar(environ)
        unpacked = artifact.unpack(content, str(folder), by_hook if hook else None, jar=jar)
        if unpacked.kind not in (Kind.COMPILED, Kind.EXECUTABLE):
            _prepare(folder, Path(unpacked.entry), unpacked.handler(main), environ)
        return _zip(folder)


def _prepare(folder: Path, entry: Path, main: str, environ: Mapping[str, str]) -> None:
    """Make the official layout of a folder of Python files."""
    if not main.isidentifier():
        raise BuildFailed(f"the handler is {main!r}; expected the name of a function")
    source = entry.read_bytes()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape is a warning, not an error
            ast.parse(source, entry.name)
    except (SyntaxError, ValueError) as error:
        raise BuildFailed(f"{entry.name} does not compile: {error}") from None
    entry.rename(folder / SOURCE_ENTRY)
    (folder / LAUNCHER).write_text(LAUNCH.replace("MAIN", main), encoding="utf-8")
    (folder / PROGRAM).write_text(EXEC, encoding="utf-8")
    (folder / PROGRAM).chmod(0o755)
    name = environ.get("OW_EXECUTION_ENV") or DEFAULT_ENVIRONMENT
    (folder / compiling.ENVIRONMENT).write_text(name, encoding="utf-8")
    if (folder / REQUIREMENTS).is_file() and not (folder / VIRTUALENV).exists():
        _install(folder, environ)


def _install(folder: Path, environ: Mapping[str, str]) -> None:
    """Install the libraries in ``requirements.txt`` where both images look for them."""
    packages = folder / VIRTUALENV / "lib" / f"python{PYTHON}" / "site-packages"
    packages.mkdir(parents=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    done = subprocess.run(
        [*pip, "--quiet", "--no-compile", "--target", str(packages), "-r", REQUIREMENTS],
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip()
        raise BuildFailed(f"{REQUIREMENTS} cannot be installed:\n{said}")
    (folder / VIRTUALENV / "bin").mkdir()
    (folder / VIRTUALENV / "bin" / "activate_this.py").write_text(ACTIVATE, encoding="utf-8")


def _zip(folder: Path) -> bytes:
    """Return the folder as a zip. The same content gives the same bytes."""
    members: Members = {}
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        name = path.relative_to(folder).as_posix()
        if stat.S_ISLNK(mode):
            members[name] = (stat.S_IFLNK | 0o777, os.fsencode(path.readlink()))
        elif stat.S_ISREG(mode):  # the other permission bits depend on the umask
            own = 0o755 if mode & 0o111 else 0o644
            members[name] = (stat.S_IFREG | own, path.read_bytes())
    return zip_members(members)
