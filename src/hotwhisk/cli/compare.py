"""
``hotwhisk compare``: run the same actions and events on two runtimes, and show the differences.

Times are shown, and are a difference only if that is asked for: a busy machine must not make a
release fail.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from hotwhisk.artifact.manifest import action_name
from hotwhisk.cli.code import read_code
from hotwhisk.cli.terminal import Arguments
from hotwhisk.errors import UsageError
from hotwhisk.platform import Action, Limits
from hotwhisk.platform.compare import invoke_both, require_listener
from hotwhisk.platform.differences import Difference, differences, shared_failures, slower

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

Events = dict[str, list[object]]


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Compare two runtimes; return 0 if nothing differs, else 1."""
    del environ  # the commands inherit it
    given = _read(argv)
    names = names_apart(given.actions)
    actions = dict(zip(names, [_read_action(name, given) for name in given.actions], strict=True))
    known = {*names, *(action.name for action in actions.values())}
    events = _read_events(given.events, known)
    ignored = _patterns(given.ignore)
    sides = {"old": given.old, "new": given.new}
    for flag, text in sides.items():
        require_listener(flag, text, _warn)
    differing = slow = lost = count = 0
    for name, action in actions.items():
        wanted = events.get(name) or events.get(action.name) or events.get("") or [{}]
        pairs = invoke_both(sides, given.memory, action, wanted)
        found = [_with_event(differences(*pair, ignored), at) for at, pair in enumerate(pairs)]
        times = [
            _with_event(list(slower(*pair, given.factor)), at) for at, pair in enumerate(pairs)
        ]
        fails = [_with_event(list(shared_failures(*pair)), at) for at, pair in enumerate(pairs)]
        different, late, failed = (sum(map(len, each)) for each in (found, times, fails))
        outcome = _number(different, "difference") if different else "same"
        print(f"{name}: {outcome}{', and both failed' * bool(failed)}")
        for told in zip(found, fails, times, strict=True):
            for difference in chain(*told):
                print(difference.shown())
        differing, slow, count = differing + bool(different), slow + late, count + len(wanted)
        lost += failed
    total = f"{_number(len(actions), 'action')}, {_number(count, 'event')}"
    total += f": {differing or 'none'} {'differ' if differing > 1 else 'differs'}"
    print(total + (f"; {_number(lost, 'event')} failed on both" if lost else ""))
    return 1 if differing or (slow and given.fail_on_time) else 0


def names_apart(paths: Sequence[str]) -> list[str]:
    """
    Return a name for each action.

    The name is the name of its file, with as much of the path before it as tells it from the
    others. If an action is given twice, its name has a number.
    """
    wholes = [Path(path).resolve() for path in paths]
    parts = [(*whole.parent.parts[1:], action_name(whole)) for whole in wholes]
    names: list[str] = []
    for own in parts:
        others = [each for each in parts if each != own]
        depth = 1
        while depth < len(own) and any(each[-depth:] == own[-depth:] for each in others):
            depth += 1
        name = "/".join(own[-depth:])
        again = sum(each == name or each.startswith(f"{name} (") for each in names)
        names.append(f"{name} ({again + 1})" if again else name)
    return names


def parser() -> Arguments:
    """Return the parser of this command's arguments."""
    usage = "--old IMAGE|COMMAND --new IMAGE|COMMAND [OPTION]... ACTION..."
    arguments = Arguments("compare", usage)
    side = "an image; or, with a space in it, a command that listens on {port} or $PORT"
    arguments.add_argument("--old", required=True, metavar="IMAGE|COMMAND", help=side)
    arguments.add_argument("--new", required=True, metavar="IMAGE|COMMAND", help="the same")
    arguments.add_argument(
        "--events",
        metavar="FILE",
        help="a JSON array of events for each action, or an object of such arrays by the name "
        "of the action; without it the one event {}",
    )
    arguments.add_argument("--main", default="main", metavar="NAME", help="the handler (main)")
    arguments.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="REGEX",
        help="take what matches in results and log lines for equal; may be repeated",
    )
    arguments.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS", help="limit of init and run (60)"
    )
    arguments.add_argument(
        "--memory", type=int, default=256, metavar="MB", help="limit of a container (256)"
    )
    arguments.add_argument(
        "--factor", type=float, default=2.0, help="tell times that differ by more than this (2)"
    )
    arguments.add_argument(
        "--fail-on-time", action="store_true", help="let them count as differences"
    )
    arguments.add_argument(
        "actions", nargs="+", metavar="ACTION", help="a .py file, a folder, a zip, an executable"
    )
    return arguments


def _read(argv: Sequence[str]) -> argparse.Namespace:
    given = parser().parse(argv)
    if not (0.001 <= given.timeout <= 86_400 and given.factor >= 1 and given.memory > 0):
        raise UsageError("--timeout must be 0.001 to 86400, --memory above 0, --factor at least 1")
    return given


def _read_action(name: str, given: argparse.Namespace) -> Action:
    code, _ = read_code(name)  # the platform finds out itself whether it is binary
    limits = Limits(timeout=int(given.timeout * 1000), memory=given.memory)
    return Action(action_name(Path(name)), code, main=given.main, limits=limits)


def _read_events(name: str | None, known: set[str]) -> Events:
    """Return events by the name of their action. Events for every action have the name ``""``."""
    if name is None:
        return {}
    try:
        document = json.loads(Path(name).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--events {name}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--events {name}: expected JSON: {error}") from None
    events = {"": document} if isinstance(document, list) else document
    if not isinstance(events, dict) or not all(
        isinstance(each, list) and each and all(isinstance(event, dict | list) for event in each)
        for each in events.values()
    ):
        raise UsageError(
            f"--events {name}: expected an array of events, each an object or an array, "
            "or an object of such arrays by the name of the action"
        )
    strange = sorted(set(events) - known - {""})
    if strange:
        raise UsageError(f"--events {name}: no such action is compared: {', '.join(strange)}")
    return events


def _patterns(given: Sequence[str]) -> list[re.Pattern[str]]:
    try:
        return [re.compile(each) for each in given]
    except re.error as error:
        raise UsageError(f"--ignore {error.pattern!r}: {error}") from None


def _warn(text: str) -> None:
    print(f"hotwhisk: {text}", file=sys.stderr, flush=True)


def _with_event(found: list[Difference], index: int) -> list[Difference]:
    return [replace(each, where=f"event {index + 1}: {each.where}") for each in found]


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
