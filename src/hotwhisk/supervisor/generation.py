"""
The current generation, and what counts as a crash loop.

Pure. An exit during a request is not counted. If there are too many other exits in a short time,
the version is rolled back. If there is no version before it, its workers are started again after a
pause, and each further pause is longer.
"""

from __future__ import annotations

from collections import deque

from hotwhisk.config.platform import Profile
from hotwhisk.openwhisk.answers import Cause, failure_answer, not_started
from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.config.option import ProbationLimit
    from hotwhisk.supervisor.commands import Artifact

RETRY_FIRST, RETRY_MAX = 1.0, 8.0
"""Seconds between attempts to start a worker of a generation that crashes."""


class Policy(Record):
    """
    How many workers a generation has, and what counts as a crash loop: ``crash_count`` exits
    outside a handler within ``crash_window`` seconds. While requests wait, it may have up to
    ``most_workers``.
    """

    workers: int = 1
    crash_count: int = 3
    crash_window: float = 10.0
    profile: Profile = Profile.PLAIN
    reinit: bool = True
    """Whether an ``/init`` may follow one that succeeded."""
    log_init_error: bool = True
    """Under OpenWhisk: whether the log says why an ``/init`` failed; if not, the answer says it."""
    most_workers: int = 1
    single_run: bool = False
    """Whether a worker serves one run only; see `single_run`."""
    probation: ProbationLimit | None = None
    """How long a version is compared with the one before; see `probation`."""
    keep_previous: bool = False
    """Whether the workers of the version before are kept for that time."""

    def silent_failure(self, cause: Cause, detail: str) -> tuple[int, str, str]:
        """
        Return status, text and log for an ``/init`` whose load ended without a message of its
        worker: it was too slow, or its process ended as ``detail`` says.

        Under OpenWhisk the log says why, or else the text.
        """
        why = "Command exited abruptly during initialization."
        if cause is Cause.INIT_TIMED_OUT:
            why = f"The action did not initialize within {detail}."
        elif cause is Cause.OUT_OF_MEMORY:
            detail, why = f"{detail}, as memory ran out,", f"{why} The memory was exhausted."
        kind = cause if cause is Cause.INIT_TIMED_OUT else Cause.INIT_DIED
        status, text = failure_answer(self.profile, kind, detail)
        if self.profile is Profile.PLAIN:
            return status, text, ""
        return (status, text, f"{why}\n") if self.log_init_error else (status, not_started(why), "")


class Generation:
    """The current generation. ``retry_at`` is set while it waits to start a worker again."""

    def __init__(
        self,
        number: int = 0,
        artifact: Artifact | None = None,
        digest: str = "",
    ) -> None:
        self.number = number
        self.artifact = artifact
        self.digest = digest
        self.fresh = number > 0
        """Whether it became current after the latest tick."""
        self.deaths = 0
        """Workers that died in a handler while it was current."""
        self.crashes: deque[float] = deque()
        self.retry_at: float | None = None
        self.unstable = False
        """Whether it pauses because of a crash loop; False if it only lacks a worker."""
        self.retry_after = RETRY_FIRST
        self.last_crash: float | None = None

    def count_crash(self, now: float, policy: Policy) -> bool:
        """Record an exit that no request caused; return True if there is a crash loop."""
        last = self.last_crash
        if last is None or now - last > policy.crash_window + RETRY_MAX:
            self.retry_after = RETRY_FIRST  # it ran well for a while, though others did not load
        self.last_crash = now
        self.crashes.append(now)
        while self.crashes[0] < now - policy.crash_window:
            self.crashes.popleft()
        if len(self.crashes) < policy.crash_count:
            return False
        self.crashes.clear()
        return True

    def begin_pause(self, now: float) -> float:
        """Set the time of the next try; return the seconds until then."""
        pause = self.retry_after
        self.retry_at = now + pause
        self.retry_after = min(2 * pause, RETRY_MAX)
        return pause
