"""
Run ``hotwhisk new``: make the folder of an action, with a test that passes.

The files are texts here, not files of the package, so that no tool takes them for code of ours.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Final

from hotwhisk.cli.files import reason
from hotwhisk.cli.terminal import Arguments
from hotwhisk.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HANDLER: Final = '''\
def main(event):
    """Greet by name. The event is what the caller sends, the result what the caller gets."""
    name = event.get("name", "stranger")
    return {"greeting": f"Hello, {name}"}
'''
TEST: Final = """\
# The fixtures come with hotwhisk. call_handler runs the handler in this process, where a breakpoint
# holds; serve_action runs it on a server, as its callers find it.


def test_greets_by_name(call_handler):
    assert call_handler("__main__.py", {"name": "Mike"}) == {"greeting": "Hello, Mike"}


def test_is_served(serve_action):
    action = serve_action(".")
    activation = action.invoke(name="Mike")
    assert activation.status == "success"
    assert activation.result == {"greeting": "Hello, Mike"}
    assert activation.logs == []
"""
REQUIREMENTS: Final = """\
# The libraries of the action, one a line, such as: requests==2.32.5
# They are installed when the action is loaded. For the tests: pip install -r requirements.txt
"""
README: Final = """\
# {name}

- Test it: `pytest` (after `pip install pytest`)
- Develop it, with a page of its calls: `hotwhisk dev .` (it needs the extra `up` of hotwhisk)
- Serve it, and replace it at each save: `hotwhisk serve --watch .`
- Call it: `hotwhisk invoke -p name Mike`
"""
LAUNCH: Final = """\
{
  // In tests with call_handler, breakpoints in the handler hold. To stop in a served action, take
  // the process id of a worker that is serving from: hotwhisk status
  "version": "0.2.0",
  "configurations": [
    {
      "name": "Tests",
      "type": "debugpy",
      "request": "launch",
      "module": "pytest",
      "pythonArgs": ["-Xfrozen_modules=off"],
      "subProcess": false,
      "cwd": "${workspaceFolder}",
      "console": "integratedTerminal"
    },
    {
      "name": "Worker of hotwhisk serve",
      "type": "debugpy",
      "request": "attach",
      "processId": "${command:pickProcess}"
    }
  ]
}
"""
IGNORED: Final = """\
__pycache__/
.pytest_cache/
.venv/
virtualenv/
.env
"""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Make the folder NAME, and print what to type next."""
    del environ
    given = parser().parse(argv)
    folder = Path(given.name)
    name = folder.resolve().name
    _check(folder, name)
    made = _files(name)
    try:
        for path, text in made.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made: {reason(error)}; name a folder where you may write"
        ) from None
    print(f"made {folder}: {', '.join(made)}")
    enter = "" if folder.samefile(".") else f"cd {quote(str(folder))} && "
    library = "" if find_spec("pytest") else "python -m pip install pytest && "
    print(f"test it:  {enter}{library}python -m pytest")
    extra = "" if find_spec("uvicorn") else "  (after pip install '.[up]' in a clone of hotwhisk)"
    print(f"develop:  {enter}hotwhisk dev .{extra}")
    print(f"serve it: {enter}hotwhisk serve --watch .")
    print("call it:  hotwhisk invoke -p name Mike")
    return 0


def parser() -> Arguments:
    """Return the parser of this command's arguments."""
    arguments = Arguments("new", "NAME")
    arguments.add_argument("name", metavar="NAME", help="the folder to make, named as the action")
    return arguments


def _files(name: str) -> dict[str, str]:
    """Return the text of each file."""
    return {
        "__main__.py": HANDLER,
        f"test_{name.replace('-', '_')}.py": TEST,
        "requirements.txt": REQUIREMENTS,
        "README.md": README.format(name=name),
        ".gitignore": IGNORED,
        ".vscode/launch.json": LAUNCH,
    }


def _check(folder: Path, name: str) -> None:
    """
    Refuse a name that is no action's, and a folder that is in use.

    Raises:
        UsageError: it says which name or folder would do.
    """
    if not _NAME.fullmatch(name):
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).lstrip("0123456789_-").rstrip("-")[:64]
        raise UsageError(
            f'"{name}" cannot name an action: expected a letter, then letters, digits, - and _, '
            f"64 at most; for example: hotwhisk new {plain or 'hello'}"
        )
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} exists and is not empty; give another name, or an empty folder")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; give another name")
