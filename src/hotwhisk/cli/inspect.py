"""Run ``hotwhisk inspect``: show the contents of an artifact and their cost."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotwhisk.cli.files import require_file
from hotwhisk.cli.terminal import Arguments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hotwhisk.build.inspection import Contents

MOST_ROWS = 12


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Print what is in the artifact FILE."""
    del environ
    given = parser().parse(argv)
    require_file(given.file)
    path = Path(given.file)
    from hotwhisk.build import inspection

    contents = inspection.read(path)
    report = _report(path, contents, imports=not given.no_imports)
    if given.json:
        print(json.dumps(report, indent=2))
    else:
        print("\n".join(_lines(path, contents, report)))
    return 0


def parser() -> Arguments:
    """Return the parser of this command's arguments."""
    arguments = Arguments("inspect", "FILE [OPTION]...")
    arguments.add_argument("file", metavar="FILE", help="what hotwhisk build made")
    arguments.add_argument("--json", action="store_true", help="as one JSON object")
    arguments.add_argument(
        "--no-imports", action="store_true",
        help="do not run the imports of the action to measure them",
    )  # fmt: skip
    return arguments


def _report(path: Path, contents: Contents, *, imports: bool) -> dict[str, Any]:
    from hotwhisk.artifact.built import here
    from hotwhisk.artifact.manifest import misfit
    from hotwhisk.build import inspection
    from hotwhisk.errors import BuildFailed

    stated = contents.manifest
    report: dict[str, Any] = {
        "manifest": {name: getattr(stated, name) for name in stated.fields},
        "digest": contents.digest,
        "bytes": contents.size,
        "bytes_posted": -(-contents.size // 3) * 4,
        "bytes_unpacked": sum(part.unpacked for part in contents.parts),
        "parts": [asdict(part) for part in contents.parts],
        "too_large": inspection.too_large(path.read_bytes()),
        "not_for_here": misfit(stated, here()),
        "imports": None,
        "imports_ms": None,
        "imports_failed": "",
    }
    if imports and not report["not_for_here"]:
        try:
            total, costs = inspection.measure_imports(path)
        except BuildFailed as error:
            report["imports_failed"] = str(error)
        else:
            report["imports_ms"] = round(total, 1)
            report["imports"] = [asdict(cost) for cost in costs]
    return report


def _lines(path: Path, contents: Contents, report: dict[str, Any]) -> list[str]:
    """Return the report for people."""
    from hotwhisk.sizes import show_size

    stated = contents.manifest
    wanted = f"Python {stated.python}, {stated.platform.replace('any', 'any platform')}"
    sizes = (
        f"{show_size(contents.size)}, posted {show_size(report['bytes_posted'])}, "
        f"unpacked {show_size(report['bytes_unpacked'])}"
    )
    lines = [
        f"{path}: the action {stated.name}, built by hotwhisk {stated.hotwhisk}",
        f"  runs      {stated.main} in {stated.entry}",
        f"  for       {wanted}" + (f", glibc {stated.glibc} or newer" if stated.glibc else ""),
        f"  bytecode  {f'made by Python {stated.bytecode}' if stated.bytecode else 'none'}",
        f"  version   {contents.digest}",
        f"  sources   {stated.digest}",
        f"  size      {sizes}",
        "",
        f"  {'in the file':>11}  {'unpacked':>9}  {'files':>5}",
    ]
    for part in contents.parts[:MOST_ROWS]:
        row = f"{show_size(part.packed):>11}  {show_size(part.unpacked):>9}  {part.files:>5}"
        lines.append(f"  {row}  {part.name}")
    if len(contents.parts) > MOST_ROWS:
        lines.append(f"  and {len(contents.parts) - MOST_ROWS} more; all with --json")
    lines += _about_imports(report)
    lines += [f"  {report[key]}" for key in ("too_large", "not_for_here") if report[key]]
    return lines


def _about_imports(report: dict[str, Any]) -> list[str]:
    if report["imports_failed"]:
        return ["", f"  {report['imports_failed']}"]
    if report["imports"] is None:
        return []
    lines = ["", f"  its imports were run here, once: {report['imports_ms']:.0f} ms"]
    return lines + [
        f"  {cost['milliseconds']:>8.0f} ms  {cost['module']}"
        for cost in report["imports"][:MOST_ROWS]
    ]
