"""Make the activation record that ``wsk activation get`` shows."""

from __future__ import annotations

from dataclasses import dataclass

from hotwhisk.platform.action import Action, Names
from hotwhisk.platform.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Timing:
    """When an activation came, and when each part of it began and ended, in epoch seconds."""

    arrival: float
    begin: float
    end: float
    init: float | None = None
    """Seconds that ``/init`` took; None for a container that was initialised already."""


def activation_record(
    action: Action, names: Names, verdict: Verdict, timing: Timing, logs: tuple[str, ...]
) -> dict[str, object]:
    """Put the parts of a record together."""
    annotations: list[dict[str, object]] = [
        {"key": "path", "value": action.path},
        {"key": "waitTime", "value": _milliseconds(timing.begin - timing.arrival)},
        {"key": "kind", "value": action.kind},
        {"key": "timeout", "value": verdict.timed_out},
        {"key": "limits", "value": action.limits.shown()},
    ]
    if timing.init is not None:
        annotations.append({"key": "initTime", "value": _milliseconds(timing.init)})
    start = int(timing.begin * 1000)  # rounded down like the deadline, so never after it
    duration = _milliseconds(timing.end - timing.begin)
    return {
        "namespace": names.namespace,
        "name": action.name,
        "version": action.version,
        "subject": names.namespace,
        "activationId": names.activation,
        "start": start,
        "end": start + duration,
        "duration": duration,
        "statusCode": int(verdict.status),
        "response": verdict.shown(),
        "logs": list(logs),
        "annotations": annotations,
        "publish": False,
    }


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))
