"""
Make the file to post from the files that a user wrote.

A case has a single file, ``action.py`` or another suffix, or the folder ``action``, which becomes a
zip. Steps, named by ``build`` in its events.json, add what the user's own tools would:

- ``extension``: each ``source/*.c`` is compiled into a module beside the action
- ``virtualenv``: the platform's documented way to add libraries, from ``action/requirements.txt``
- ``wheels``: ``pip download`` fills ``action/wheels`` with what ``requirements.txt`` names
- ``go``: ``source/*.go`` becomes the program ``exec``; a launcher is added unless it has a
  ``func main()`` of its own, as the platform's compile step does. Without a folder ``action``
  the program is posted alone
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.corpus import image, tools
from tests.support.corpus.cache import Unbuildable, call, kept
from tests.support.corpus.case import EVENTS, Case
from tests.support.corpus.pack import zip_recursively

LAUNCHER = Path(__file__).with_name("launcher.go")
MODULE = "module action\n\ngo 1.19\n"
NO_CACHES = shutil.ignore_patterns("__pycache__")


def build(case: Case, target: Path) -> Path:
    """
    Build a case into the folder ``target``; return the file to post, which has the case's name.

    Raises:
        Unbuildable: this machine lacks something that the case needs, and it cannot be installed.
    """
    for program in case.needs:
        tools.require(program)
    single = next(iter(case.folder.glob("action.*")), None)
    if single is not None:
        return Path(shutil.copy(single, target / f"{case.name}{single.suffix}"))
    if not case.build:
        return _packed(case.folder / "action", target / f"{case.name}.zip")
    made = kept(case.name, _inputs(case), lambda folder: _make(case, folder))
    return Path(shutil.copy(next(made.glob("posted*")), target / _posted_name(case)))


def _posted_name(case: Case) -> str:
    return f"{case.name}.zip" if (case.folder / "action").exists() else case.name


def _inputs(case: Case) -> list[bytes]:
    files = [path for path in sorted(case.folder.rglob("*")) if path.is_file()]
    files = [path for path in files if path.name != EVENTS and "__pycache__" not in path.parts]
    ours = [Path(__file__).with_name(name) for name in ("recipes.py", "pack.py", "image.py")]
    read = [*files, *ours, LAUNCHER, image.REQUIREMENTS]
    texts = [text for path in read for text in (str(path).encode(), path.read_bytes())]
    return [*texts, *(step.encode() for step in case.build)]


def _make(case: Case, folder: Path) -> None:
    work = folder / "action"
    if (case.folder / "action").exists():
        shutil.copytree(case.folder / "action", work, ignore=NO_CACHES)
    else:
        work.mkdir()
    for step in case.build:
        STEPS[step](case, work)
    if (case.folder / "action").exists():
        zip_recursively(work, folder / "posted.zip")
    else:
        shutil.copy(work / "exec", folder / "posted")
    for made in (work, folder / "source"):
        shutil.rmtree(made, ignore_errors=True)


def _packed(action: Path, target: Path) -> Path:
    work = target.with_suffix(".folder")
    shutil.copytree(action, work, ignore=NO_CACHES)
    zip_recursively(work, target)
    shutil.rmtree(work)
    return target


def _extension(case: Case, work: Path) -> None:
    headers = image.include()
    if not (headers / "Python.h").exists():
        raise Unbuildable(f"no extension can be compiled: {headers} has no Python.h (python3-dev)")
    for source in sorted((case.folder / "source").glob("*.c")):
        flags = ["-shared", "-fPIC", "-O1", f"-I{headers}"]
        target = work / f"{source.stem}.so"
        call(source.name, [tools.require("cc"), *flags, "-o", target, source], work)


def _virtualenv(case: Case, work: Path) -> None:
    # virtualenv virtualenv && source virtualenv/bin/activate && pip install -r requirements.txt
    make = [image.python(), "-m", "virtualenv", "--quiet", "--no-periodic-update", "virtualenv"]
    call(f"virtualenv of {case.name}", make, work, image.environment())
    pip = [work / "virtualenv" / "bin" / "pip", *image.PIP, "-r", "requirements.txt"]
    call(f"requirements of {case.name}", pip, work, image.environment())


def _wheels(case: Case, work: Path) -> None:
    lines = (work / "requirements.txt").read_text(encoding="utf-8").splitlines()
    named = [line for line in lines if line and line[0] not in "#-"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    flags = ["--quiet", "--only-binary", ":all:", "-d", "wheels"]
    call(f"wheels of {case.name}", [*pip, *flags, *named], work, image.environment())


def _go(case: Case, work: Path) -> None:
    compiler = tools.require("go")
    source = work.parent / "source"
    shutil.copytree(case.folder / "source", source)
    texts = [path.read_text(encoding="utf-8") for path in source.glob("*.go")]
    if not any(re.search(r"^func main\(\)", text, re.MULTILINE) for text in texts):
        shutil.copy(LAUNCHER, source / "launcher__.go")
    if not (source / "go.mod").exists():
        (source / "go.mod").write_text(MODULE, encoding="utf-8")
    environ = {"HOME": str(work.parent), **os.environ}
    environ |= {"CGO_ENABLED": "0", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    environ |= {
        "GOFLAGS": "-trimpath -buildvcs=false",
        "GOWORK": "off",
    }  # without settings from this repository
    command = [compiler, "build", "-ldflags", "-s -w", "-o", work / "exec", "."]
    call(f"go build of {case.name}", command, source, environ)


STEPS: dict[str, Callable[[Case, Path], None]] = {
    "extension": _extension,
    "virtualenv": _virtualenv,
    "wheels": _wheels,
    "go": _go,
}
