"""Run ``hotwhisk build``: make one file of an action and its dependencies."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import is_zipfile

from hotwhisk.artifact.manifest import action_name
from hotwhisk.cli.files import reason, require_file
from hotwhisk.cli.terminal import Arguments
from hotwhisk.errors import BuildFailed, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from hotwhisk.build import Built
    from hotwhisk.build.requirements import Requirements


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Build SOURCE into the file that -o names."""
    del environ  # a build depends on its arguments, and uv reads its variables itself
    given = parser().parse(argv)
    require_file(given.source)
    source = Path(given.source)
    output = Path(given.output or default_output(source, given.format))
    if not given.output and output.is_file() and not is_zipfile(output):
        raise UsageError(f"{output} exists and is no artifact; name the file to write: -o FILE")
    from hotwhisk.build import BuildOptions, build, requirements
    from hotwhisk.build.target import target

    wanted = target(given.python, given.platform)
    depends: Requirements | None = None
    if given.requirements:
        depends = requirements.named(Path(given.requirements))
    elif not given.no_requirements:
        depends = requirements.find(source)
    options = BuildOptions(
        wanted, depends, given.format == "zip", given.allow_sdist, not given.no_bytecode
    )
    try:
        built = build(source, output, given.main, given.name, options)
    except OSError as error:  # of the folder for temporary files, or of a program
        raise BuildFailed(f"{error.filename or source}: {reason(error)}") from None
    _tell(built, output, depends, given)
    return 0


def default_output(source: Path, form: str) -> str:
    """Return the file to write, in the working directory, if no output is named."""
    name = action_name(source)
    if form == "zip":
        return f"{name}.zip"
    # As a rule, a folder of that name is the source itself.
    return f"{name}.pyz" if os.path.isdir(name) else name


def parser() -> Arguments:
    """Return the parser of this command's arguments."""
    arguments = Arguments("build", "SOURCE [-o FILE] [OPTION]...")
    arguments.add_argument("source", metavar="SOURCE", help="a .py file or a folder")
    arguments.add_argument(
        "-o", "--output", metavar="FILE",
        help="what to write (hello for hello.py; with --format zip hello.zip)",
    )  # fmt: skip
    arguments.add_argument("--main", default="main", metavar="NAME", help="the handler (main)")
    arguments.add_argument("--name", metavar="NAME", help="name of the action (that of SOURCE)")
    arguments.add_argument(
        "--requirements", metavar="FILE",
        help="requirements.txt, pyproject.toml, pylock.toml, uv.lock or a .py with a header "
        "(what is found in or beside SOURCE)",
    )  # fmt: skip
    arguments.add_argument("--no-requirements", action="store_true", help="leave dependencies out")
    arguments.add_argument(
        "--python", default="", metavar="VERSION", help="for which Python, as 3.12 (this one)"
    )
    arguments.add_argument(
        "--platform", default="", metavar="NAME",
        help="for which platform, as linux/arm64 (linux on this machine's architecture)",
    )  # fmt: skip
    arguments.add_argument(
        "--format", choices=("app", "zip"), default="app",
        help="app: one executable file; zip: what OpenWhisk's own images take too (app)",
    )  # fmt: skip
    arguments.add_argument(
        "--no-bytecode", action="store_true", help="leave bytecode out: smaller, slower at first"
    )
    arguments.add_argument(
        "--allow-sdist", action="store_true", help="build what has no wheel from source, here"
    )
    return arguments


def _tell(
    built: Built, output: Path, depends: Requirements | None, given: argparse.Namespace
) -> None:
    """Print what was built, what it contains, and how to use it."""
    from hotwhisk.build import inspection
    from hotwhisk.sizes import show_size

    stated = built.manifest
    for note in built.notes:
        print(f"hotwhisk: {note}", file=sys.stderr)
    if depends is not None:
        rows = [f"{row['name']} {row['version']}" for row in stated.packages]
        where = f"Python {stated.python}, {stated.platform.replace('any', 'any platform')}"
        print(f"with {', '.join(rows) or 'no packages'} from {depends.path.name}; for {where}")
    if warning := inspection.too_large(output.read_bytes()):
        print(f"hotwhisk: {warning}", file=sys.stderr)
    done = f"built {output} ({show_size(built.size)})"
    if given.format == "zip":
        handler = f" --main {given.main}" if given.main != "main" else ""
        print(
            f"{done}; wsk action create {shlex.quote(stated.name)} {shlex.quote(str(output))} "
            f"--kind python:{given.python or stated.python.removeprefix('>=')}{handler}"
        )
    else:
        path = str(output) if os.sep in str(output) else f"./{output}"
        print(f"{done}; run it with: {shlex.quote(path)}")
