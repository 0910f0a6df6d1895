"""
``hotwhisk build``: one file of an action and its dependencies.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hotwhisk.cli.files import require_file
from hotwhisk.cli.terminal import Arguments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """
    Build SOURCE into the file that -o names.
    """
    del environ  # a build depends on its arguments alone
    parser = Arguments("build", "SOURCE -o FILE [OPTION]...")
    parser.add_argument("source", metavar="SOURCE", help="a .py file or a folder")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="what to write")
    parser.add_argument("--main", default="main", metavar="NAME", help="the handler (main)")
    parser.add_argument("--name", metavar="NAME", help="name of the action (that of SOURCE)")
    given = parser.parse(argv)
    source, output = require_file(given.source), Path(given.output)
    from hotwhisk.build import build

    build(source, output, main=given.main, name=given.name or source.resolve().stem)
    print(f"built {output} ({output.stat().st_size / 1024:.0f} KB); run it with: ./{output.name}")
    return 0
