"""
The process as a house for the action's code: paths, modules, environment.

The server and the action share one interpreter, and the action must not notice. What
plain ``python main.py`` gives, it gets: its own modules win over those of the standard
library that the interpreter has not needed to start, and over whatever the server has
imported. This works because the server's modules keep their own references: taking a
module out of ``sys.modules`` hides it from the next ``import`` and from nothing else.

Therefore the order matters: everything the server needs is imported, then `move_in`.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import site
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Final

import hotwhisk
from hotwhisk.errors import BuildFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STAYS: Final = frozenset(sys.builtin_module_names) | {
    "__main__", "_abc", "_codecs", "_collections_abc", "_frozen_importlib",
    "_frozen_importlib_external", "_imp", "_io", "_signal", "_sitebuiltins", "_stat",
    "_thread", "_warnings", "_weakref", "abc", "builtins", "codecs", "encodings",
    "genericpath", "hotwhisk", "importlib", "io", "marshal", "ntpath", "os", "posix",
    "posixpath", "site", "stat", "sys", "time", "zipimport",
}  # fmt: skip
"""
Modules that no file of an action replaces: those which the interpreter has loaded before
it runs a first line, so that plain Python would not look for them either, and ours.
"""

_VIRTUALENV: Final = "virtualenv"
_ACTIVATE: Final = ("bin/activate_this.py", "Scripts/activate_this.py")


def set_environment(env: Mapping[str, str]) -> None:
    """
    Set what ``/init`` sent along, before the action's code is loaded.
    """
    os.environ.update(env)


def apply_context(context: Mapping[str, str]) -> None:
    """
    Set the context of one ``/run``: each key, in capitals, after ``__OW_``.
    """
    environ = os.environ
    for key, value in context.items():
        environ["__OW_" + key.upper()] = value


def move_in(folder: Path) -> None:
    """
    Make ``folder`` the working directory and the first place to import from.
    """
    for name in hotwhisk.__all__:
        getattr(hotwhisk, name)  # imported on first use: now, from our house, not the action's
    folder = folder.resolve()
    if sys.path and sys.path[0] in ("", _working_directory()):
        del sys.path[0]  # of `python -m hotwhisk`: the server's folder is not the action's
    os.chdir(folder)
    shadowing = _top_level_names(folder)
    for packages in _activate(folder / _VIRTUALENV):
        shadowing |= _top_level_names(packages)
    sys.path.insert(0, str(folder))
    sys.argv[:] = [""]
    sys.modules["__main__"] = types.ModuleType("__main__")
    importlib.invalidate_caches()
    for name in list(sys.modules):
        top = name.partition(".")[0]
        if top in shadowing and top not in STAYS:
            del sys.modules[name]


def _working_directory() -> str:
    """
    Where the process is; empty if that folder is gone.
    """
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def _top_level_names(folder: Path) -> set[str]:
    """
    Names that an ``import`` finds in a folder. One without ``__init__.py`` is no such
    name: a namespace package yields to any module of that name further down the path.
    """
    suffixes = importlib.machinery.all_suffixes()
    names = set()
    for entry in os.scandir(folder):
        if entry.is_dir():
            if any(os.path.isfile(f"{entry.path}/__init__{suffix}") for suffix in suffixes):
                names.add(entry.name)
        else:
            names.update(
                entry.name.removesuffix(suffix)
                for suffix in suffixes
                if entry.name.endswith(suffix)
            )
    return {name for name in names if name.isidentifier()}


def _activate(virtualenv: Path) -> Iterable[Path]:
    """
    Put the packages of an artifact's virtual environment before all others.
    """
    if not virtualenv.is_dir():
        return []
    before = list(sys.path)
    for name in _ACTIVATE:
        script = virtualenv / name
        if script.is_file():
            code = compile(script.read_bytes(), str(script), "exec")
            exec(code, {"__file__": str(script), "__name__": "activate_this"})  # noqa: S102 - as its own documentation says
            return [Path(path) for path in sys.path if path not in before and os.path.isdir(path)]
    mine = virtualenv / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    folders = [mine] if mine.is_dir() else sorted(virtualenv.glob("lib/python*/site-packages"))
    if not folders:
        raise BuildFailed(
            "Invalid virtualenv. Zip file does not include 'activate_this.py', "
            "nor virtualenv/lib/python*/site-packages"
        )
    for packages in folders:
        site.addsitedir(str(packages))
    added = [path for path in sys.path if path not in before]
    sys.path[:] = added + before
    return [Path(path) for path in added if os.path.isdir(path)]
