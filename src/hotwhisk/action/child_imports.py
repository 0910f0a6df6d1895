"""
Make the action's module importable, by its name ``main__``, in each child process of the action.

A forked child has the module. Any other child is a fresh interpreter that imports the module.
A child of multiprocessing (spawn, forkserver) or of joblib gets ``sys.path`` from its parent. A
child that was started by `subprocess` has the working directory and the environment. In the
folder of an unpacked artifact, a link of that name is enough; see `hotwhisk.artifact.artifact`.

The server writes nothing into the folder of a file that is served where it lies. So a folder of
the generation holds a module of that name and nothing else. This folder is the last place of
``sys.path`` and of ``PYTHONPATH``, so it hides no module from any program that the action starts.
The module runs the source that the generation began with. Later changes of the file do not matter.
"""

from __future__ import annotations

import os
import sys

from hotwhisk.action.isolation import set_environment
from hotwhisk.action.tracebacks import MODULE
from hotwhisk.artifact.package_cache import ensure_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


_FOLDER: Final = "children"
_SOURCE: Final = "source"

_OF_A_FILE: Final = """\
# Written by hotwhisk: the action's module, for child processes that the action starts.
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location

ENTRY, SOURCE, PATH = {entry!r}, {source!r}, {path!r}

sys.path[:0] = [each for each in PATH if each not in sys.path]
main = sys.modules.get("__mp_main__")  # multiprocessing has run the file already
if getattr(main, "__file__", None) != ENTRY:
    loader = SourceFileLoader("main__", ENTRY)
    main = module_from_spec(spec_from_file_location("main__", ENTRY, loader=loader))
    sys.modules["main__"] = main
    with open(SOURCE, "rb") as file:
        code = compile(file.read(), ENTRY, "exec", dont_inherit=True)
    exec(code, main.__dict__)
sys.modules["main__"] = main
"""
_OF_A_MODULE: Final = """\
# Written by hotwhisk: the action's module, for child processes that the action starts.
import importlib
import sys

sys.path[:0] = [each for each in {path!r} if each not in sys.path]
sys.modules["main__"] = importlib.import_module({name!r})
"""


def offer_file(generation_folder: str, entry: str, source: bytes, path: list[str]) -> None:
    """
    Let children find a file that is served where it lies.

    ``generation_folder`` is the folder of the generation. ``path`` lists the other places from
    which a child must import.
    """
    if os.path.basename(entry) != f"{MODULE}.py":
        folder = f"{generation_folder}/{_FOLDER}"
        text = _OF_A_FILE.format(entry=entry, source=f"{folder}/{_SOURCE}", path=path)
        _offer(folder, {_SOURCE: source, f"{MODULE}.py": text.encode()})


def offer_module(generation_folder: str, name: str, path: list[str]) -> None:
    """Let children find a module that is served by its own name."""
    text = _OF_A_MODULE.format(name=name, path=path)
    _offer(f"{generation_folder}/{_FOLDER}", {f"{MODULE}.py": text.encode()})


def _offer(folder: str, files: dict[str, bytes]) -> None:
    """Write the files, unless another worker of the generation did, and name their folder."""
    ensure_folder(os.path.dirname(folder))
    ensure_folder(folder)
    for name, content in files.items():
        if not os.path.exists(f"{folder}/{name}"):
            fresh = f"{folder}/.{name}.{os.getpid()}"
            with open(fresh, "wb", buffering=0) as file:
                file.write(content)
            os.rename(fresh, f"{folder}/{name}")
    sys.path.append(folder)
    before = os.environ.get("PYTHONPATH")
    set_environment({"PYTHONPATH": f"{before}{os.pathsep}{folder}" if before else folder})
