"""
Describe a worker's death for the log.

Pure. If the supervisor killed a worker, the line gives the reason, because "SIGKILL" alone does
not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotwhisk.openwhisk.answers import Cause
from hotwhisk.supervisor.lifecycle import State

if TYPE_CHECKING:
    from hotwhisk.supervisor.workers import Worker


def line_of(worker: Worker, how: str, *, of_request: bool) -> str:
    """Return the line for a worker's death by ``how``; empty if its reason was logged before."""
    who = f"a worker of generation {worker.generation} was ended"
    cause, detail = worker.kill_reason or (None, "")
    if cause is Cause.TIMED_OUT and of_request:
        return f"{who} by the server, as a request took more than {detail}: its deadline"
    if cause is Cause.TIMED_OUT:
        return f"{who}: it gave no sign of life for {detail} between requests ({how})"
    if cause is not None:
        return f"{who} with the server ({how})"
    if worker.state is State.LOADING:
        return f"a fresh worker of generation {worker.generation} was ended by {how} as it loaded"
    if worker.state is State.KILLED:
        return ""  # it failed to load, and that was logged
    return f"{who} by {how} {'during a request' if of_request else 'between requests'}"
