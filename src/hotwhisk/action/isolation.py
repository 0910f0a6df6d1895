"""
Isolate the action's imports, paths and environment from those of the server.

The server and the action share one interpreter. The action gets what plain ``python main.py`` gives
it. Its own modules win over modules of the standard library, except those that the interpreter
imports at its start, and over all that the server has imported. This works because the server's
modules keep their own references: if a module is removed from ``sys.modules``, only the next
``import`` does not find it.

So the order matters: first everything that the server needs is imported, then `enter_action_folder`
is called. A module that is too heavy to be imported for every action, such as asyncio, is imported
later within `server_modules`, which hides the action's modules.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import site
import sys
import types
from contextlib import contextmanager

from hotwhisk.action import pinned
from hotwhisk.action.environ import Variables
from hotwhisk.errors import BuildFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Final

STAYS: Final = frozenset(sys.builtin_module_names) | {
    "__main__", "_abc", "_codecs", "_collections_abc", "_frozen_importlib",
    "_frozen_importlib_external", "_imp", "_io", "_signal", "_sitebuiltins", "_stat",
    "_thread", "_warnings", "_weakref", "abc", "builtins", "codecs", "encodings",
    "genericpath", "hotwhisk", "importlib", "io", "marshal", "ntpath", "os", "posix",
    "posixpath", "site", "stat", "sys", "time", "zipimport",
}  # fmt: skip
"""
Modules that no file of an action replaces: the server's own, and those that the interpreter has
loaded before it runs a first line, because plain Python does not look for them either.
"""

_VIRTUALENV: Final = "virtualenv"
_ACTIVATE: Final = ("bin/activate_this.py", "Scripts/activate_this.py")


class _Server:
    """Holds the import settings from before `enter_action_folder`, and the folders it entered."""

    path: list[str] | None = None
    folders: list[str] = []  # noqa: RUF012 - as modules
    shadowed: frozenset[str] = frozenset()
    modules: dict[str, types.ModuleType] = {}  # noqa: RUF012 - replaced, never shared


_variables: Final = Variables()


def set_environment(env: Mapping[str, str]) -> None:
    """Set the variables that ``/init`` sent, before the action's code is loaded."""
    for name, value in env.items():  # `update` of a mapping asks first what kind of object it is
        os.environ[name] = value


def variable(name: str) -> str:
    """Return a variable that the action finds, or an empty text if it is not set."""
    return os.environ.get(name, "")


def set_defaults(env: Mapping[str, str]) -> None:
    """Set each of the variables that is not set."""
    for name, value in env.items():
        os.environ.setdefault(name, value)


def environment() -> dict[str, str]:
    """Return the environment that the action finds."""
    return dict(os.environ)


def apply_context(context: Mapping[str, str]) -> None:
    """Set the context of one ``/run``: each key, in capitals, after ``__OW_``."""
    for key, value in context.items():
        _variables.set("__OW_" + key.upper(), value)


def enter_action_folder(folder: str, virtualenv: str = "") -> None:
    """
    Make ``folder`` the working directory and the first place to import from.

    The virtual environment of the action is ``virtualenv``. If that is empty, it is the folder
    ``virtualenv`` in ``folder``.
    """
    if sys.path and sys.path[0] in ("", _working_directory()):
        del sys.path[0]  # `python -m hotwhisk` put it there: it is not the action's folder
    _Server.path = list(sys.path)
    try:
        os.chdir(folder)
        folder = os.getcwd()  # the kernel has followed all links
        os.environ["PWD"] = folder  # a shell leaves it so
        shadowing = pinned.names_in(folder) | _top_level_names(folder)
    except FileNotFoundError:
        folder = os.path.realpath(folder)
        shadowing = pinned.names_in(folder)
        if not shadowing:  # else the folder was removed since the version was loaded
            raise
    for packages in _activate(virtualenv or f"{folder}/{_VIRTUALENV}"):
        shadowing |= _top_level_names(packages)
    _Server.folders = [*_Server.folders, folder]
    sys.path.insert(0, folder)
    sys.argv[:] = [""]
    sys.modules["__main__"] = types.ModuleType("__main__")
    _Server.shadowed = frozenset(shadowing - STAYS)
    _Server.modules = _take_out(_Server.shadowed)


@contextmanager
def process_restored() -> Iterator[None]:
    """
    Leave the folders of actions when the context ends, with all that they changed in the process.

    A worker never leaves the folder of its action. A test that loads an action must.
    """
    folder, environ, path, argv = os.getcwd(), dict(os.environ), list(sys.path), list(sys.argv)
    modules, server = dict(sys.modules), (_Server.path, _Server.shadowed, _Server.modules)
    _Server.folders = []
    invalidate_caches()
    try:
        yield
    finally:
        _Server.path, _Server.shadowed, _Server.modules = server
        _forget_modules(_Server.folders)
        sys.modules.update(modules)
        sys.path[:], sys.argv[:] = path, argv
        for name in os.environ.keys() - environ.keys():
            del os.environ[name]
        os.environ.update(environ)
        os.chdir(folder)


def _forget_modules(folders: list[str]) -> None:
    """
    Forget the modules that were imported from these folders.

    Libraries stay, also those of a virtual environment in such a folder: numpy and others can be
    imported only once in a process.
    """
    below = tuple(f"{folder}{os.sep}" for folder in folders)
    for name, module in list(sys.modules.items()):
        file = str(getattr(module, "__file__", ""))
        if file.startswith(below) and f"{os.sep}site-packages{os.sep}" not in file:
            del sys.modules[name]


def import_path() -> list[str]:
    """Return the places that `enter_action_folder` put before all other places to import from."""
    return [each for each in sys.path if each not in (_Server.path or ())]


@contextmanager
def server_modules() -> Iterator[None]:
    """Hide the action's modules and paths meanwhile, for imports and output of the server."""
    if _Server.path is None:
        yield
        return
    theirs, path = _take_out(_Server.shadowed), list(sys.path)
    sys.modules.update(_Server.modules)
    sys.path[:] = _Server.path
    try:
        yield
    finally:
        _Server.modules = _take_out(_Server.shadowed)
        sys.modules.update(theirs)
        sys.path[:] = path


def invalidate_caches() -> None:
    """
    Do the work of ``importlib.invalidate_caches()`` without an import.

    The supervisor does it once, when it has imported all. It imports nothing later, so an action
    finds all that is there when it is loaded.

    From Python 3.13 on, that function also empties the cache of `importlib.metadata`. For this it
    imports that module and some thirty others. The import takes up to 30 ms in each fresh worker,
    and the cache is empty there. If the module is imported already, its cache is emptied too.
    """
    if "importlib.metadata" in sys.modules:
        importlib.invalidate_caches()
        return
    path_finder = importlib.machinery.PathFinder
    for finder in sys.meta_path:
        if finder is not path_finder and hasattr(finder, "invalidate_caches"):
            finder.invalidate_caches()
    for path, entry_finder in list(sys.path_importer_cache.items()):
        if entry_finder is None or not os.path.isabs(path):
            del sys.path_importer_cache[path]  # the folder may be there by now, or be elsewhere
        elif hasattr(entry_finder, "invalidate_caches"):
            entry_finder.invalidate_caches()


def _take_out(tops: frozenset[str]) -> dict[str, types.ModuleType]:
    """Take these top-level modules, and all below them, out of ``sys.modules``."""
    if not tops & sys.modules.keys():  # as a rule; a module below is there with its package only
        return {}
    names = [name for name in sys.modules if name.partition(".")[0] in tops]
    return {name: sys.modules.pop(name) for name in names}


def _working_directory() -> str:
    """Return the working directory, or an empty text if that folder is gone."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def _top_level_names(folder: str) -> set[str]:
    """
    Return the names that an ``import`` finds in a folder.

    A folder without ``__init__.py`` is left out: a namespace package yields to any module of that
    name further down the path.
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


def _activate(virtualenv: str) -> list[str]:
    """Put the packages of an artifact's virtual environment before all others."""
    if not os.path.isdir(virtualenv):
        return []
    before = list(sys.path)
    for name in _ACTIVATE:
        script = f"{virtualenv}/{name}"
        if os.path.isfile(script):
            with open(script, "rb") as file:
                code = compile(file.read(), script, "exec")
            exec(code, {"__file__": script, "__name__": "activate_this"})  # noqa: S102 - as its own documentation says
            return [path for path in sys.path if path not in before and os.path.isdir(path)]
    folders = _site_packages(virtualenv)
    if not folders:
        raise BuildFailed(
            "Invalid virtualenv. Zip file does not include 'activate_this.py', "
            "nor virtualenv/lib/python*/site-packages"
        )
    for packages in folders:
        site.addsitedir(packages)
    added = [path for path in sys.path if path not in before]
    sys.path[:] = added + before
    return [path for path in added if os.path.isdir(path)]


def _site_packages(virtualenv: str) -> list[str]:
    """Return the folder of packages for this Python, or else all such folders that exist."""
    mine = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    if os.path.isdir(f"{virtualenv}/lib/{mine}/site-packages"):
        return [f"{virtualenv}/lib/{mine}/site-packages"]
    try:
        names = sorted(os.listdir(f"{virtualenv}/lib"))
    except OSError:
        return []
    found = [f"{virtualenv}/lib/{name}/site-packages" for name in names if "python" in name]
    return [packages for packages in found if os.path.isdir(packages)]
