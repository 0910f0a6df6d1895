"""Collect what ``hotwhisk status`` shows: counters, and the latest exits and replacements."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hotwhisk.supervisor.supervisor import Supervisor

VERSION = 1
LONGEST_ERROR = 300
"""Most characters of an error that are kept, because the whole report must fit one answer."""

KEPT = 20
"""Exits and replacements that are kept one by one."""


class Stats:
    """The events of one server. Times are seconds of the monotonic clock."""

    def __init__(self, now: float) -> None:
        self.started = now
        self.replacements = 0
        self.rollbacks = 0
        self.answered_for_the_dead = 0
        self.no_template = (0, "")
        """The latest generation for which no template could be made, and why."""
        self.deaths: deque[dict[str, object]] = deque(maxlen=KEPT)
        self.inits: deque[dict[str, object]] = deque(maxlen=KEPT)

    def died(self, pid: int, generation: int, how: str, *, owed: int) -> None:
        """Record a worker's unexpected exit, while it was handling ``owed`` requests."""
        self.deaths.append(
            {
                "pid": pid,
                "generation": generation,
                "how": how,
                "during": _during(owed),
                "at": round(time.time(), 3),
            }
        )

    def replaced(
        self, generation: int | None, seconds: float, error: str, *, rollback: bool
    ) -> None:
        """
        Record the end of a replacement.

        If it succeeded, ``generation`` is current; otherwise ``error`` says why not. A replacement
        that was refused before its turn has no number.
        """
        if not error and rollback:
            self.rollbacks += 1
        elif not error and (generation or 0) > 1:  # the first generation replaced nothing
            self.replacements += 1
        self.inits.append(
            {
                "generation": generation,
                "ms": round(1000 * seconds, 2),
                "ok": not error,
                "error": error[:LONGEST_ERROR],
            }
        )


def _during(owed: int) -> str:
    if owed == 0:
        return "no request"
    return "a request" if owed == 1 else f"{owed} requests"


def _template(supervisor: Supervisor) -> dict[str, object] | None:
    """
    Describe the template of the current generation, or say why there is none.

    Return None if the generation needs no template, because its load is short.
    """
    number = supervisor.rollout.current.number
    slot = supervisor.rollout.workers.template_of(number)
    if slot is not None:
        return {"pid": supervisor.processes.by_slot[slot].pid}
    generation, reason = supervisor.stats.no_template
    return {"reason": reason} if generation == number and reason else None


def _dropped(supervisor: Supervisor) -> dict[str, int]:
    """Return how much output was dropped because no process read stdout or stderr."""
    dropped = [state.dropped for state in supervisor.scoreboard.streams.values()]
    sentinels, length = (sum(each) for each in zip(*dropped, strict=True))
    return {"sentinels": sentinels, "bytes": length}


def status(supervisor: Supervisor) -> dict[str, object]:
    """Return everything that ``status`` shows, as values that JSON can hold."""
    rollout, owners = supervisor.rollout, supervisor.dispatcher.owners
    report, current = supervisor.stats, rollout.current
    workers = [
        {
            "pid": supervisor.processes.by_slot[slot].pid,
            "generation": worker.generation,
            "state": str(worker.state),
            "connections": owners.count(slot),
        }
        for slot, worker in rollout.workers.by_slot.items()
        if not worker.is_template
    ]
    return {
        "version": VERSION,
        "pid": os.getpid(),
        "profile": str(supervisor.profile),
        "port": supervisor.config.port,
        "uptime": round(supervisor.system.now() - report.started, 3),
        "generation": {"number": current.number, "digest": current.digest, "workers": workers},
        "template": _template(supervisor),
        "previous": rollout.previous and {"digest": rollout.previous_digest},
        "connections": len(supervisor.sockets.descriptors),
        "parked": len(owners.parked),
        "replacements": report.replacements,
        "rollbacks": report.rollbacks,
        "answered_for_the_dead": report.answered_for_the_dead,
        "dropped": _dropped(supervisor),
        "deaths": list(report.deaths),
        "inits": list(report.inits),
        "weaknesses": supervisor.system.weaknesses,
    }
