"""Collect what ``hotwhisk status`` shows: counters, and the latest exits and replacements."""

from __future__ import annotations

import os

from hotwhisk.config.addresses import CONTROL_VERSION
from hotwhisk.supervisor.probation import ProbationState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.supervisor.parts import Parts


def _template(parts: Parts) -> dict[str, object] | None:
    """
    Describe the template of the current generation, or say why there is none.

    Return None if the generation needs no template, because its load is short.
    """
    number = parts.rollout.current.number
    slot = parts.rollout.workers.templates.get(number)
    if slot is not None:
        return {"pid": parts.processes.by_slot[slot].pid}
    generation, reason = parts.stats.no_template
    return {"reason": reason} if generation == number and reason else None


def _trial(parts: Parts) -> dict[str, object] | None:
    """Describe the trial that goes on; return None if there is none."""
    trial = parts.rollout.trials.trial
    if trial is None:
        return None
    return {
        "generation": trial.candidate.generation,
        "compared": trial.compared,
        "copies": trial.copies,
        "differing": trial.differing,
        "for": round(parts.system.now() - parts.processes.by_slot[trial.slot].started, 3),
        "seconds": trial.seconds,
    }


def dropped(parts: Parts) -> dict[str, tuple[int, int]]:
    """
    Return how many sentinels, and how many other bytes, were dropped of stdout and of stderr.

    They are dropped if no process reads the stream, or if it is full.
    """
    streams = parts.scoreboard.streams
    found = {"stdout": streams[1].dropped, "stderr": streams[2].dropped}
    if parts.output is not None:  # the supervisor writes a log of JSON, to stdout
        sentinels, length = found["stdout"]
        found["stdout"] = (sentinels, length + parts.output.dropped)
    return found


def counts(parts: Parts) -> list[dict[str, object]]:
    """Return what was counted of the requests of each generation, the latest first."""
    return parts.stats.totals.json_values(parts.living_counts(), parts.rollout.current.number)


def _probation(parts: Parts) -> dict[str, object] | None:
    """Describe the latest probation, with the figures of both versions; None if there was none."""
    probation, stats = parts.rollout.probation, parts.stats
    if probation.state is ProbationState.NONE or probation.limit is None:
        return None
    begun = stats.started_at + (probation.since or parts.system.now()) - stats.started
    seconds = probation.limit.seconds
    both = zip(
        (probation.current.number, probation.before.number),
        probation.figures(*parts.compared_counts()),
        strict=True,
    )
    return {
        "state": str(probation.state),
        "since": round(begun, 3),
        "until": round(begun + seconds, 3) if seconds else None,
        "requests": probation.limit.requests or None,
        "fault": probation.fault,
        "versions": [{"generation": number, **figures.json_values()} for number, figures in both],
    }


def status(parts: Parts) -> dict[str, object]:
    """Return everything that ``status`` shows, as values that JSON can hold."""
    sentinels, length = map(sum, zip(*dropped(parts).values(), strict=True))
    rollout, owners = parts.rollout, parts.rollout.dispatcher.owners
    report, current, previous = parts.stats, rollout.current, rollout.history.previous()
    workers = [
        {
            "pid": parts.processes.by_slot[slot].pid,
            "generation": worker.generation,
            "state": str(worker.state),
            "connections": owners.count(slot),
        }
        for slot, worker in rollout.workers.by_slot.items()
        if not worker.is_template
    ]
    return {
        "version": CONTROL_VERSION,
        "pid": os.getpid(),
        "profile": str(parts.config.profile),
        "port": parts.config.port,
        "uptime": round(parts.system.now() - report.started, 3),
        "generation": {"number": current.number, "digest": current.digest, "workers": workers},
        "template": _template(parts),
        "trial": _trial(parts),
        "previous": previous and {"number": previous.number, "digest": previous.digest},
        "probation": _probation(parts),
        "current_for": round(parts.system.now() - report.current_since, 3),
        "counts": counts(parts),
        "connections": len(parts.sockets.descriptors),
        "parked": len(owners.parked),
        "replacements": report.replacements,
        "rollbacks": report.rollbacks,
        "answered_for_the_dead": report.answered_for_dead_workers,
        "dropped": {"sentinels": sentinels, "bytes": length},
        "deaths": list(report.deaths),
        "inits": list(report.inits),
        "weaknesses": parts.system.weaknesses,
    }
