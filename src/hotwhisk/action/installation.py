"""
Install the ``requirements.txt`` of an action that came without its libraries, when it is loaded.

The official images do so too: they make a virtual environment in ``virtualenv/`` beside the action.
They fill it with uv if uv is there, or else with pip. An environment takes seconds and megabytes,
and most versions of an action have the same requirements. So one environment is made for all
versions with the same requirements. It is kept where built artifacts have their libraries; see
`package_cache`.

A virtual environment holds the path at which it was made, so it is made in its final place. The
output of the installer is kept in a file and shown only if the installer fails, because it is not
output of the action. The installer starts further processes, and all of them must end when the time
is over. So the installer has a process group of its own.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from time import time

from hotwhisk.action.isolation import environment, server_modules
from hotwhisk.artifact import artifact, package_cache
from hotwhisk.artifact.snapshot import REQUIREMENTS
from hotwhisk.digest import sha256
from hotwhisk.errors import BuildFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Final

    from hotwhisk.artifact.artifact import Unpacked
    from hotwhisk.artifact.snapshot import Snapshot
    from hotwhisk.config.config import Config

VIRTUALENV: Final = "virtualenv"

ACTIVATE: Final = """\
# Puts the packages beside it before all others; run by exec() with __file__ set.
import glob
import os
import site
import sys

home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.environ["VIRTUAL_ENV"] = home
path = os.environ.get("PATH", os.defpath)
os.environ["PATH"] = os.path.join(home, "bin") + os.pathsep + path
before = list(sys.path)
for packages in glob.glob(os.path.join(home, "lib", "python*", "site-packages")):
    site.addsitedir(packages)
sys.path[:] = [path for path in sys.path if path not in before] + before
"""
"""The script that loads a virtual environment into a running Python, as in ``virtualenv``."""

_SAID: Final = "requirements.log"
_LONGEST: Final = 16384
"""Most bytes of the end of the installer's output that an error shows."""
_LOCAL: Final = (
    "-r", "-c", "-e", "-f", "--requirement", "--constraint", "--editable", "--find-links", ".",
)  # fmt: skip
"""The beginnings of a line that names a file beside ``requirements.txt``."""
_ARCHIVES: Final = (".whl", ".zip", ".tar.gz")
_QUIET: Final = {
    "NO_COLOR": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1",
    "PIP_ROOT_USER_ACTION": "ignore", "UV_NO_PROGRESS": "1",
}  # fmt: skip


def wanted(folder: str) -> bytes:
    """
    Return the requirements of an action that has no ``virtualenv/``.

    The result is empty if the action requires nothing.
    """
    try:
        with open(f"{folder}/{REQUIREMENTS}", "rb", buffering=0) as file:
            content = file.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return b""
    return content if are_wanted(folder, content) else b""


def are_wanted(folder: str, content: bytes) -> bool:
    """Return whether these requirements name anything and the folder has no ``virtualenv/``."""
    return bool(_lines(content)) and not os.path.lexists(f"{folder}/{VIRTUALENV}")


def install(
    content: bytes, folder: str, holder: str, libraries: str, unique: str, seconds: float
) -> str:
    """
    Install the ``requirements.txt`` in a folder, and return the virtual environment.

    ``content`` is the content of that file. ``holder`` is the folder of the generation.
    ``libraries`` is the folder in which environments are kept. If requirements name files beside
    them, only versions with the same text ``unique`` share the environment. All other environments
    are shared by every version with the same requirements.

    Raises:
        BuildFailed: the libraries cannot be installed, or not within ``seconds``. The text has the
            output of the installer.
    """
    local = any(names_a_file(line) for line in _lines(content))
    tag = str(sys.implementation.cache_tag).encode()
    key = sha256(b"\0".join([tag, content, unique.encode() if local else b""])).hex()[:32]
    package_cache.ensure_folder(holder)

    def fill(place: str) -> None:
        said = _Installer(folder, f"{holder}/{_SAID}", seconds).install(place)
        if said:
            raise BuildFailed(f"{REQUIREMENTS} cannot be installed: {said}")
        with open(f"{place}/bin/activate_this.py", "w", encoding="utf-8") as file:
            file.write(ACTIVATE)

    try:
        return package_cache.fill_in_place(libraries, f"venv-{key}", holder, fill)
    except OSError as error:
        raise BuildFailed(f"{REQUIREMENTS} cannot be installed: {error.strerror}") from error


class _Installer:
    """Runs the commands that fill a virtual environment."""

    def __init__(self, folder: str, log: str, seconds: float) -> None:
        with server_modules():  # the action may have modules of these names
            import subprocess
            import time
        self._subprocess: Any = subprocess
        self._now = time.monotonic
        self._until = self._now() + seconds
        self._seconds = seconds
        self._folder = folder
        self._log = log

    def install(self, place: str) -> str:
        """Fill an empty folder; return why that failed, or an empty text."""
        python = f"{place}/bin/python"
        uv = _find("uv")
        pip = importlib.util.find_spec("pip") is not None
        make = [
            sys.executable,
            "-I",
            "-m",
            "venv",
            *(["--without-pip"] if uv or pip else []),
            place,
        ]
        if uv:
            fill = [uv, "pip", "install", "--quiet", "--python", python]
            fill += ["--compile-bytecode"] if sys.dont_write_bytecode else []
        else:
            own = [sys.executable, "-P", "-m", "pip", "--python", python]
            fill = [*(own if pip else [python, "-P", "-m", "pip"]), "install", "--quiet"]
            fill += [] if sys.dont_write_bytecode else ["--no-compile"]
        return self._run(make) or self._run([*fill, "-r", f"{self._folder}/{REQUIREMENTS}"])

    def _run(self, command: Sequence[str]) -> str:
        """
        Run one command; return an empty text if it succeeded.

        If the command failed, the text says how the command ended and what it printed.
        """
        with open(self._log, "wb") as log:
            process = self._subprocess.Popen(
                command,
                cwd=self._folder,
                env=_environment(environment()),
                stdin=self._subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        try:
            status = process.wait(max(0.0, self._until - self._now()))
        except self._subprocess.TimeoutExpired:
            return (
                f"it took longer than {self._seconds:.3g} s, the time that /init leaves for it; "
                f"hotwhisk build packs libraries beforehand\n{self._output_of()}"
            ).strip()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if status:
            return f"{os.path.basename(command[0])} ended with status {status}\n{self._output_of()}"
        return ""

    def _output_of(self) -> str:
        with open(self._log, "rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _LONGEST))
            return log.read().decode(errors="replace").strip()


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the installer: the present one, without progress and questions."""
    found = {**_QUIET, **environ}
    if not found.get("UV_LINK_MODE"):
        found["UV_LINK_MODE"] = "copy"
    if not found.get("UV_CACHE_DIR") and not os.access(os.path.expanduser("~"), os.W_OK):
        found.setdefault("UV_NO_CACHE", "1")
        found.setdefault("PIP_NO_CACHE_DIR", "1")
    found.pop("VIRTUAL_ENV", None)
    return found


def _find(program: str) -> str:
    """Return where a program is, on the PATH or beside this Python, or an empty text."""
    folders = environment().get("PATH", os.defpath).split(os.pathsep)
    for folder in [*folders, os.path.dirname(sys.executable)]:
        path = f"{folder}/{program}"
        if folder and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return ""


def _lines(content: bytes) -> list[str]:
    """Return the lines of a file of requirements without comments and empty lines."""
    text = content.decode("utf-8-sig", "replace")
    lines = [line.partition(" #")[0].strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def names_a_file(line: str) -> bool:
    """Return whether a line of requirements depends on a file beside them."""
    path = "://" not in line and ("/" in line or line.endswith(_ARCHIVES))
    return path or line.startswith(_LOCAL) or "file:" in line


def install_unpacked(unpacked: Unpacked, libraries: str, config: Config) -> None:
    """Install the libraries of a folder's ``requirements.txt`` where the action looks for them."""
    folder = unpacked.folder
    content = wanted(folder)
    if content:
        seconds = _time_left(config)
        generation_folder = os.path.dirname(folder)
        unique = unpacked.digest
        try:
            place = install(content, folder, generation_folder, libraries, unique, seconds)
        except BuildFailed as error:
            if not config.openwhisk:  # OpenWhisk logs the text of any version that fails
                sys.stderr.write(f"{error}\n")
            raise
        os.symlink(place, f"{folder}/{VIRTUALENV}")


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
    if not are_wanted(kept.root, content):
        return ""
    generation_folder = os.path.dirname(folder)
    libraries = artifact.libraries_beside(generation_folder)
    seconds = _time_left(config)
    return install(content, kept.root, generation_folder, libraries, folder, seconds)
