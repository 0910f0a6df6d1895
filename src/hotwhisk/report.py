"""
What ``hotwhisk status`` shows: counted from the decisions as they are carried out.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hotwhisk.supervisor import Supervisor

KEPT = 20
"""Deaths and replacements that are remembered one by one."""


class Report:
    """
    Counters and recent events of one server.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._started = supervisor.system.now()
        self.deaths: deque[dict[str, object]] = deque(maxlen=KEPT)
        self.inits: deque[dict[str, object]] = deque(maxlen=KEPT)
        self.counts = {"replacements": 0, "rollbacks": 0, "answered_for_the_dead": 0}

    def status(self) -> dict[str, object]:
        """
        Everything, as values that JSON can hold.
        """
        supervisor = self._supervisor
        succession = supervisor.succession
        charge, custody = succession.charge, supervisor.assignment.custody
        workers = [
            {
                "pid": supervisor.crew.processes[slot].pid,
                "generation": worker.generation,
                "state": str(worker.state),
                "connections": custody.load(slot),
            }
            for slot, worker in succession.roster.workers.items()
        ]
        return {
            "version": 1,
            "pid": os.getpid(),
            "profile": str(supervisor.profile),
            "port": supervisor.config.port,
            "uptime": round(supervisor.system.now() - self._started, 3),
            "generation": {
                "number": charge.number,
                "digest": charge.digest,
                "workers": workers,
            },
            "previous": succession.previous is not None,
            "connections": len(supervisor.sockets),
            "parked": len(custody.parked),
            **self.counts,
            "deaths": list(self.deaths),
            "inits": list(self.inits),
        }
