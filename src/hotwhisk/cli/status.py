"""
``hotwhisk status``: show what a running server is doing.

The answer may be a JSON object of a later server: unknown keys are ignored here, missing keys are
shown as a dash, and ``--json`` shows everything.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from hotwhisk.cli import control
from hotwhisk.cli.counts import RequestCounts
from hotwhisk.cli.refresh import show_again
from hotwhisk.cli.terminal import Arguments, show_duration, show_generation, show_table
from hotwhisk.cli.trial import progress
from hotwhisk.errors import ServerError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping, Sequence

COUNTS = {
    "connections": ("connection", "connections"),
    "parked": ("parked", "parked"),
    "replacements": ("replacement", "replacements"),
    "rollbacks": ("rollback", "rollbacks"),
    "answered_for_the_dead": ("answered for dead workers", "answered for dead workers"),
}
"""Keys of the answer, and what each key counts, in the singular and the plural."""
COLUMNS = ("pid", "generation", "state", "connections")
LAST = 5


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Ask the server and print its status."""
    given = parser().parse(argv)
    answer = control.ask("status", given, environ)
    if given.watch:
        _watch(answer, given, environ)
    else:
        print(json.dumps(answer, indent=2) if given.json else render(answer))
    return 0


def _watch(answer: dict[str, object], given: Namespace, environ: Mapping[str, str]) -> None:
    """Show the status every second until Ctrl-C, or until the server has ended."""
    before = RequestCounts(answer)
    ended = ""

    def text() -> str | None:
        nonlocal before, ended
        try:
            answer = control.ask("status", given, environ)
        except ServerError as error:
            ended = str(error)
            return None
        if given.json:
            return json.dumps(answer)
        counts, before = RequestCounts(answer, before), RequestCounts(answer)
        return render(answer, counts)

    show_again(text)
    if ended:
        print(f"the server has ended: {ended}", file=sys.stderr)


def parser() -> Arguments:
    """Return the parser of this command's arguments."""
    arguments = Arguments("status", "[OPTION]...")
    arguments.add_argument("--json", action="store_true", help="print the answer as JSON")
    arguments.add_argument(
        "--watch", action="store_true", help="show it every second, with the rates of that second"
    )
    control.add_arguments(arguments)
    return arguments


def render(answer: Mapping[str, object], counts: RequestCounts | None = None) -> str:
    """Return the answer as a table for people; with ``counts``, which may know earlier ones."""
    generation = _object(answer.get("generation"))
    place = f"port {_cell(answer, 'port')} · {_cell(answer, 'profile')} profile"
    process = f"pid {_cell(answer, 'pid')} · up {_duration(answer.get('uptime'))}"
    lines = [f"{place} · {process}", _current(generation)]
    previous = answer.get("previous")
    if previous:
        name = _name(previous) if isinstance(previous, dict) else "a version"
        lines.append(f"{name} before it; hotwhisk rollback makes it current again")
    lines += _probation(_object(answer.get("probation")))
    workers = _objects(generation.get("workers"))
    if trial := progress(answer):
        lines.append(trial)
    lines += ["", *_table(workers, [key for key in COLUMNS if any(key in row for row in workers)])]
    lines += (counts or RequestCounts(answer)).lines()
    lines += ["", " · ".join(_count(answer, key) for key in COUNTS)]
    lines += _lost_output(_object(answer.get("dropped")))
    lines += _section("deaths", [_death(death) for death in _objects(answer.get("deaths"))])
    lines += _section("inits", [_init(init) for init in _objects(answer.get("inits"))])
    return "\n".join(lines)


def _lost_output(dropped: Mapping[str, object]) -> list[str]:
    if not any(dropped.values()):
        return []
    what = f"{_cell(dropped, 'sentinels')} sentinels and {_cell(dropped, 'bytes')} bytes"
    return [f"output that could not be written, because it is not read: {what}"]


def _count(answer: Mapping[str, object], key: str) -> str:
    return f"{_cell(answer, key)} {COUNTS[key][answer.get(key) != 1]}"


def _current(generation: Mapping[str, object]) -> str:
    if generation.get("number") == 0:
        return "no current version yet"
    return f"{_name(generation)} current"


def _probation(probation: Mapping[str, object]) -> list[str]:
    """Return a line on the latest probation; none if there was none, or nothing came of it."""
    state, versions = probation.get("state"), _objects(probation.get("versions"))
    if len(versions) != 2:
        return []
    name = f"generation {_cell(versions[0], 'generation')}"
    figures = f"{_figures(versions[0])}; before: {_figures(versions[1])}"
    if state == "running":
        until = probation.get("until")
        end = f"{_cell(probation, 'requests')} requests" if until is None else _clock(until)
        return [f"{name} is on probation until {end}: {figures}"]
    if state == "failed":
        return [f"{name} failed its probation: {_cell(probation, 'fault')}"]
    return [f"{name} has passed its probation: {figures}"] if state == "passed" else []


def _figures(version: Mapping[str, object]) -> str:
    p95, deaths = version.get("p95_ms"), version.get("deaths")
    return (
        f"{_cell(version, 'requests')} requests, {_cell(version, 'failed')} failed"
        + (f", {deaths} died in a handler" if deaths else "")
        + (f", p95 {p95:.3g} ms" if isinstance(p95, int | float) else "")
    )


def _table(rows: Sequence[Mapping[str, object]], keys: Sequence[str]) -> list[str]:
    return show_table([list(keys), *([_cell(row, key) for key in keys] for row in rows)])


def _section(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    more = [f"  … {len(lines) - LAST} earlier"] if len(lines) > LAST else []
    return ["", title, *more, *(f"  {line}" for line in lines[-LAST:])]


def _death(death: Mapping[str, object]) -> str:
    during = death.get("during")
    return (
        f"{_clock(death.get('at'))}  pid {_cell(death, 'pid')}  generation "
        f"{_cell(death, 'generation')}  {_cell(death, 'how')}"
        + (f" during {during}" if during else "")
    )


def _init(init: Mapping[str, object]) -> str:
    took = init.get("ms")
    shown = f"{took:.1f} ms" if isinstance(took, int | float) else "-"
    outcome = "became current" if init.get("ok") else f"refused: {_cell(init, 'error')}"
    return f"generation {_cell(init, 'generation')}  {shown}  {outcome}"


def _cell(row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    return "-" if value is None else " ".join(str(value).split())


def _name(generation: Mapping[str, object]) -> str:
    if "digest" in generation and "number" not in generation:
        # A version that waits for a roll-back has no number yet.
        name = str(generation.get("digest") or "").removeprefix("sha256:")
        return f"a version (sha256:{name[:12]}…)"
    return show_generation(_cell(generation, "number"), generation.get("digest"))


def _duration(seconds: object) -> str:
    return show_duration(max(seconds, 0.0)) if isinstance(seconds, int | float) else "-"


def _clock(moment: object) -> str:
    if isinstance(moment, int | float):
        return time.strftime("%H:%M:%S", time.localtime(moment))
    return "-" if moment is None else str(moment)


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[Mapping[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
