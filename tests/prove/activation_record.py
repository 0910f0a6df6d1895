"""Compare an activation record with the expected one, and the log line by line for each stream."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hotwhisk.platform import Action, Names

from .activation_rules import AFTER_ERROR, Expected, Trace

_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr): (.*)", re.DOTALL)


@dataclass(frozen=True)
class Call:
    """
    An activation as it was requested.

    It is ``cold`` in a container that was not initialised yet. It is ``merged`` if its log has one
    stream for both outputs, and not ``collected`` if its log is not read.
    """

    action: Action
    names: Names
    cold: bool = False
    merged: bool = False
    collected: bool = True

    def wanted(self, expected: Expected) -> dict[str, object]:
        """Return the record without times and without its log."""
        return {
            "namespace": self.names.namespace,
            "name": self.action.name,
            "version": self.action.version,
            "subject": self.names.namespace,
            "activationId": self.names.activation,
            "statusCode": expected.code,
            "response": expected.response,
            "publish": False,
        }

    def notes(self, expected: Expected) -> dict[str, object]:
        """Return the annotations, without the times."""
        limits = self.action.limits
        return {
            "path": f"{self.action.namespace}/{self.action.name}",
            "kind": self.action.kind,
            "timeout": expected.timed_out,
            "limits": {
                "concurrency": limits.concurrency,
                "logs": limits.logs,
                "memory": limits.memory,
                "timeout": limits.timeout,
            },
        }


def differences(record: Mapping[str, object], call: Call, expected: Expected) -> list[str]:
    """Return all differences between a record and the expected one, as texts."""
    found = dict(record)
    logs, annotations = found.pop("logs"), found.pop("annotations")
    assert isinstance(logs, list)
    assert isinstance(annotations, list)
    start, end, duration = (found.pop(name) for name in ("start", "end", "duration"))
    notes = {each["key"]: each["value"] for each in annotations}
    times = [start, duration, notes.pop("waitTime", None)]
    if call.cold:
        times.append(notes.pop("initTime", None))
    right = call.wanted(expected)
    problems = [
        f"{key}: {brief(found.get(key))}, not {brief(right.get(key))}"
        for key in sorted(found.keys() | right.keys())
        if found.get(key) != right.get(key)
    ]
    noted = call.notes(expected)
    if notes != noted:
        problems.append(f"annotations: {notes}, not {noted}")
    if not all(type(number) is int and number >= 0 for number in times) or end != start + duration:
        problems.append(f"times: {times}, {end}")
    if not call.collected:
        return problems + ([f"a log: {brief(logs)}"] if logs else [])
    tail = (AFTER_ERROR,) if expected.code == 2 else ()
    return problems + log_differences(logs, expected, tail, merged=call.merged)


def log_differences(
    logs: Sequence[str], expected: Expected, tail: tuple[str, ...], *, merged: bool
) -> list[str]:
    """
    Return the differences of a log, as texts.

    A ``merged`` log has one stream for both outputs.
    """
    lines = []
    for line in logs:
        match = _STAMP.fullmatch(line)
        if match is None:
            return [f"no log line: {line!r}"]
        lines.append((match[1], match[2]))
    out, err = _divided(lines, expected.out) if merged else _streams(lines)
    if out != list(expected.out):
        return [f"stdout: {brief(out)}, not {brief(expected.out)}"]
    if not _matches(err, (*expected.err, *tail)):
        return [f"stderr: {brief(err)}, not {brief((*expected.err, *tail))}"]
    if merged and any(stream != "stdout" for stream, _ in lines):
        return ["Kubernetes knows one stream only"]
    return []


def _streams(lines: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return (
        [text for stream, text in lines if stream == "stdout"],
        [text for stream, text in lines if stream == "stderr"],
    )


def _divided(lines: list[tuple[str, str]], wanted: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Split a merged log: the lines that stdout must have, in their order, and the others."""
    out: list[str] = []
    err: list[str] = []
    for _, text in lines:
        mine = len(out) < len(wanted) and wanted[len(out)] == text
        (out if mine else err).append(text)
    return out, err


def _matches(lines: list[str], wanted: Sequence[str | Trace]) -> bool:
    # Python 3.14 adds lines that say where in the result the error was.
    rest = iter([line for line in lines if not line.startswith("when serializing ")])
    for one in wanted:
        line = next(rest, None)
        if isinstance(one, Trace):
            if one.frames or line == "Traceback (most recent call last):":
                if line != "Traceback (most recent call last):":
                    return False
                line = next(rest, None)
                while line is not None and not one.ends(line):
                    line = next(rest, None)
            if line is None or not one.ends(line):
                return False
        elif line != one:
            return False
    return next(rest, None) is None


def brief(value: object) -> str:
    """Return a value as a problem shows it."""
    text = repr(value)
    return text if len(text) < 400 else f"{text[:200]}…{text[-100:]} ({len(text)})"
