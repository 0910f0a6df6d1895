"""Say which limits there are, and check those of an action."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from hotwhisk.gateway.api import action_kinds
from hotwhisk.gateway.api.endpoint import ApiRequest
from hotwhisk.gateway.api.errors import JsonResponse, malformed
from hotwhisk.gateway.api.reading import MOST_PAYLOAD
from hotwhisk.gateway.invocations.sequences import MOST_COMPONENTS

DEFAULTS: Final = {"timeout": 60_000, "memory": 256, "logs": 10, "concurrency": 1}
_RANGES: Final = {
    "timeout": ("duration", " milliseconds", 100, 300_000),
    "memory": ("memory", " MB", 128, 512),
    "logs": ("logs", " MB", 0, 10),
    "concurrency": ("concurrency", "", 1, 500),
}
"""What the platform calls each limit in its texts, its unit, the least and the most."""
_UNLIMITED: Final = 1_000_000
"""The calls of a namespace are not counted; clients expect a number."""
_MB: Final = 1 << 20


def checked(given: object, before: dict[str, int]) -> dict[str, int]:
    """
    Return the limits of an action: those that are given, and for the rest those of before.

    Raises:
        ApiError: 400, one is not a whole number within its range.
    """
    if given is None:
        return before
    if not isinstance(given, dict):
        raise malformed("Object expected in field 'limits'")
    found = dict(before)
    for key, (name, unit, least, most) in _RANGES.items():
        value = given.get(key)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise malformed(f"{name} limit must be whole number")
        if value < least:
            raise malformed(f"{name} {value}{unit} below allowed threshold of {least}{unit}")
        if value > most:
            raise malformed(f"{name} {value}{unit} exceeds allowed threshold of {most}{unit}")
        found[key] = value
    return found


def get(given: ApiRequest) -> Response:
    """Return the limits of a namespace."""
    given.check_owner()
    least = {key: each[2] for key, each in _RANGES.items()}
    most = {key: each[3] for key, each in _RANGES.items()}
    return JsonResponse(
        {
            "invocationsPerMinute": _UNLIMITED,
            "concurrentInvocations": _UNLIMITED,
            "firesPerMinute": _UNLIMITED,
            "allowedKinds": [each["kind"] for each in action_kinds.runtimes()["python"]],
            "storeActivations": True,
            "maxParameterSize": f"{MOST_PAYLOAD} B",
            "minActionMemory": f"{least['memory']} MB",
            "maxActionMemory": f"{most['memory']} MB",
            "minActionLogs": f"{least['logs']} MB",
            "maxActionLogs": f"{most['logs']} MB",
            "minActionTimeout": least["timeout"],
            "maxActionTimeout": most["timeout"],
            "minActionConcurrency": least["concurrency"],
            "maxActionConcurrency": most["concurrency"],
        }
    )


def of_system() -> dict[str, Any]:
    """Return the limits that the root of the API lists; memory and logs are in bytes."""
    (_, _, least_time, most_time), (_, _, least_memory, most_memory) = (
        _RANGES["timeout"],
        _RANGES["memory"],
    )
    return {
        "actions_per_minute": _UNLIMITED,
        "triggers_per_minute": _UNLIMITED,
        "concurrent_actions": _UNLIMITED,
        "sequence_length": MOST_COMPONENTS,
        "min_action_duration": least_time,
        "max_action_duration": most_time,
        "min_action_memory": least_memory * _MB,
        "max_action_memory": most_memory * _MB,
        "min_action_logs": 0,
        "max_action_logs": _RANGES["logs"][3] * _MB,
    }
