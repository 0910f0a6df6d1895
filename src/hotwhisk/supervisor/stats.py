"""The events of a server that ``hotwhisk status`` shows."""

from __future__ import annotations

import time
from collections import deque

from hotwhisk.openwhisk.answers import Cause
from hotwhisk.supervisor.totals import Totals

CAUSES = (Cause.KILLED, Cause.EXITED, Cause.OUT_OF_MEMORY, Cause.TIMED_OUT, Cause.STOPPING)
"""The causes for which a worker can exit without an order to."""

LONGEST_ERROR = 300
"""Most characters of an error that are kept, because the whole report must fit one answer."""

KEPT = 20
"""Exits and replacements that are kept one by one."""


class Stats:
    """The events of one server. Times are seconds of the monotonic clock."""

    def __init__(self, now: float) -> None:
        self.started = now
        self.current_since = now
        """When the current generation became current."""
        self.totals = Totals()
        """What was counted of the requests of each generation."""
        self.started_at = round(time.time(), 3)
        """The same as Unix time."""
        self.replacements = 0
        self.rollbacks = 0
        self._begun = False
        """Whether a version was current."""
        self.refusal = ""
        """Why the last replacement failed, with its traceback; empty if it did not."""
        self.traceback = (0, "")
        """The latest generation that a worker failed to load, and what it printed."""
        self.answered_for_dead_workers = 0
        self.no_template = (0, "")
        """The latest generation for which no template could be made, and why."""
        self.deaths_by_cause = dict.fromkeys(CAUSES, 0)
        self.deaths: deque[dict[str, object]] = deque(maxlen=KEPT)
        self.inits: deque[dict[str, object]] = deque(maxlen=KEPT)

    def died(self, pid: int, generation: int, cause: Cause, how: str, *, unanswered: int) -> None:
        """Record a worker's unexpected exit, while it had ``unanswered`` requests to answer."""
        self.deaths_by_cause[cause] += 1
        self.deaths.append(
            {
                "pid": pid,
                "generation": generation,
                "how": how,
                "during": _during(unanswered),
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
        elif not error and self._begun:  # the first version of a server replaced nothing
            self.replacements += 1
        self._begun = self._begun or not error
        failed, traceback = self.traceback
        shown = traceback if failed == generation else ""
        self.refusal = f"{error}\n\n{shown}".rstrip() if error else ""
        self.inits.append(
            {
                "generation": generation,
                "ms": round(1000 * seconds, 2),
                "ok": not error,
                "error": error[:LONGEST_ERROR],
            }
        )


def _during(unanswered: int) -> str:
    if unanswered == 0:
        return "no request"
    return "a request" if unanswered == 1 else f"{unanswered} requests"
