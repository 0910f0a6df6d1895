"""
End a server: workers run their atexit functions, then every process is killed.

Each wait has a limit. A process that cannot be killed, because it runs as another user, is left.
"""

from __future__ import annotations

import select
from collections.abc import Iterable

from hotwhisk.ipc.messages import Recall
from hotwhisk.ipc.scoreboard import RUNS, Phase
from hotwhisk.supervisor.log_events import LogEvent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.supervisor.parts import Parts
    from hotwhisk.supervisor.process import Process

EXIT_GRACE = 2.0
"""Seconds that workers get for their atexit functions when the server ends."""

KILL_WAIT = 1.0
"""Seconds that killed processes may take to end."""


UNANSWERED = (*RUNS, Phase.RESPONDING, Phase.PARKED, Phase.BUFFERED, Phase.INIT_PENDING)


def has_requests(parts: Parts) -> bool:
    """Return whether a request that has come, or may have come, has no answer yet."""
    waiting = parts.rollout.dispatcher.owners.waiting
    return any(map(parts.scoreboard.in_phase, UNANSWERED)) or bool(waiting)


def end_workers(parts: Parts, *, at_once: bool) -> None:
    """Stop all workers, or kill them; wait for their exits, then kill the rest."""
    processes = parts.processes
    for process in [each for each in processes.by_slot.values() if each.pending]:
        processes.reap(process)
    for process in list(processes.by_slot.values()):
        worker = parts.rollout.workers.by_slot.get(process.slot)
        serves_nothing = process.generation == 0 or (worker and worker.is_template)
        if at_once or serves_nothing or process.silent:
            processes.kill(process.slot)
        else:
            process.channel.send(Recall(drain=True))
    _wait_for_ends(parts, EXIT_GRACE)
    for slot in list(processes.by_slot):
        processes.kill(slot)
    _wait_for_ends(parts, KILL_WAIT)
    for process in list(processes.by_slot.values()):
        processes.reap(process)
    _end_orphans(parts)
    if processes.kill_again():
        parts.log(
            "a program that runs as another user could not be ended, and is left",
            LogEvent.WORKER_ENDED,
        )


def _wait_for_ends(parts: Parts, limit: float) -> None:
    processes, system = parts.processes, parts.system
    deadline = system.now() + limit
    living: Iterable[Process] = processes.by_slot.values()
    while living := [each for each in living if not processes.has_exited(each)]:
        left = deadline - system.now()
        if left <= 0:
            return
        poll = select.poll()  # select() cannot take descriptors above 1023
        for each in living:
            poll.register(each.pidfd, select.POLLIN)
        try:
            poll.poll(1000 * left)
        except OSError:
            continue  # memory has run out for now


def _end_orphans(parts: Parts) -> None:
    """Reap orphans until none is left. When one is killed, this process inherits its children."""
    processes, system = parts.processes, parts.system
    deadline = system.now() + KILL_WAIT
    processes.reap_orphans()
    while processes.has_orphans and system.now() < deadline:
        select.select([], [], [], 0.001)  # they are killed already
        processes.reap_orphans()
