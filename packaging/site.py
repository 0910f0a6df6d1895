"""
Gather the pages of the site: copies of the Markdown files of docs/ and of those outside it.

    packaging/site.py FOLDER

The files themselves stay as GitHub shows them. In the copies, a link to a page leads to its place
in the site, and a link to another file of this repository leads to a copy of it below ``source/``.
A link that leads nowhere stays as it is, so that the generator refuses it.
"""

from __future__ import annotations

import re
import shutil
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE_DOCS = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "conformance/README.md": "conformance.md",
    "examples/README.md": "examples.md",
    "tests/corpus/README.md": "corpus.md",
}
RELATIVE_LINK = re.compile(r"\]\((?!\w+:|[#/])([^)\s#]+)")


def main(folder: Path) -> None:
    """Write all pages, and the files to which they lead, into ``folder``, which is emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pages = {ROOT / source: place for source, place in OUTSIDE_DOCS.items()}
    pages |= {page: page.name for page in (ROOT / "docs").glob("*.md")}
    for page, place in pages.items():
        moved = partial(_moved, page=page, pages=pages, folder=folder)
        text = RELATIVE_LINK.sub(moved, page.read_text(encoding="utf-8"))
        (folder / place).write_text(text, encoding="utf-8")


def _moved(link: re.Match[str], *, page: Path, pages: dict[Path, str], folder: Path) -> str:
    """Return the beginning of a link with its target in the site; copy a target that is no page."""
    target = (page.parent / link[1]).resolve()
    place = pages.get(target)
    if place is None and target.is_file():
        place = f"source/{target.relative_to(ROOT)}"
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(target, folder / place)
    return f"]({place or link[1]}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
