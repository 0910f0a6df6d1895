"""Collect what ``/metrics`` shows of a server. Counts come from the supervisor's own memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from hotwhisk import __version__
from hotwhisk.ipc.scoreboard import IN_FLIGHT
from hotwhisk.server.openmetrics import Family, counter, gauge, info
from hotwhisk.server.status import dropped
from hotwhisk.supervisor.workers import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.supervisor.parts import Parts


def collect(parts: Parts) -> Iterator[Family]:
    """Yield all metrics of a server."""
    yield from _process(parts)
    yield from _now(parts)
    yield from _events(parts)


def _process(parts: Parts) -> Iterator[Family]:
    python = ".".join(map(str, sys.version_info[:3]))
    labels = {"version": __version__, "python": python, "profile": str(parts.config.profile)}
    yield info("hotwhisk_build", "The hotwhisk that serves, and its Python", labels)
    yield gauge(
        "process_start_time_seconds",
        "When the server started, as Unix time",
        [({}, parts.stats.started_at)],
    )


def _now(parts: Parts) -> Iterator[Family]:
    rollout, scoreboard = parts.rollout, parts.scoreboard
    yield gauge(
        "hotwhisk_current_generation",
        "Number of the current version, 0 if there is none",
        [({}, rollout.current.number)],
    )
    states = [worker.state for worker in rollout.workers.by_slot.values()]
    yield gauge(
        "hotwhisk_workers",
        "Processes of all versions by their state",
        [({"state": str(state)}, states.count(state)) for state in State],
    )
    yield gauge("hotwhisk_connections", "Open connections", [({}, len(parts.sockets.descriptors))])
    in_flight = sum(len(scoreboard.in_phase(phase)) for phase in IN_FLIGHT)
    yield gauge("http_requests_in_flight", "Requests that are being answered", [({}, in_flight)])
    yield gauge(
        "hotwhisk_parked_requests",
        "Requests that were read and wait for a worker",
        [({}, len(rollout.dispatcher.owners.parked))],
    )


def _events(parts: Parts) -> Iterator[Family]:
    stats = parts.stats
    yield counter(
        "hotwhisk_replacements",
        "Versions that took the place of another",
        [({}, stats.replacements)],
    )
    yield counter(
        "hotwhisk_rollbacks",
        "Versions that became current by a roll-back",
        [({}, stats.rollbacks)],
    )
    yield counter(
        "hotwhisk_failed_probations",
        "Versions that did worse than the one before, so that they were rolled back",
        [({}, parts.rollout.probation.failures)],
    )
    yield counter(
        "hotwhisk_worker_deaths",
        "Workers that ended and were not told to, by cause",
        [
            ({"cause": cause.replace("-", "_")}, count)
            for cause, count in stats.deaths_by_cause.items()
        ],
    )
    yield counter(
        "hotwhisk_answered_for_dead_workers",
        "Requests whose worker ended before it had answered, answered by another process",
        [({}, stats.answered_for_dead_workers)],
    )
    lost = [({"stream": name}, amounts) for name, amounts in dropped(parts).items()]
    yield counter(
        "hotwhisk_dropped_sentinels",
        "Ends of activations that could not be written to the log",
        [(labels, sentinels) for labels, (sentinels, _) in lost],
    )
    yield counter(
        "hotwhisk_dropped_output_bytes",
        "Other output that could not be written, because the log is not read or is full",
        [(labels, length) for labels, (_, length) in lost],
    )
