"""
The answers to requests that the action cannot answer itself.

Texts come in two profiles. ``PLAIN`` is for the person who runs the server. ``OPENWHISK`` repeats
the platform's texts and statuses to the letter, because the platform and its tests compare them.
Both are in one table, `ANSWERS`.
"""

from __future__ import annotations

from enum import StrEnum

from hotwhisk.config.platform import Profile
from hotwhisk.errors import BuildFailed, HotwhiskError, LoadFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


class Cause(StrEnum):
    """Why an answer is given on behalf of an action that cannot give its own."""

    KILLED = "killed"
    """A signal ended the worker that handled the request."""
    EXITED = "exited"
    """The action ended its process while it handled the request."""
    TIMED_OUT = "timed-out"
    """The action gave no answer in time and was ended."""
    NO_ACTION = "no-action"
    """No action was posted yet."""
    LOAD_FAILED = "load-failed"
    """The first version could not be loaded, and there is no earlier one."""
    BUSY = "busy"
    """The limit of waiting requests is reached."""
    LOST = "lost"
    """The worker exited after it had read half of the request."""
    STOPPING = "stopping"
    """The server is stopping."""
    OUT_OF_MEMORY = "out-of-memory"
    """The kernel killed the worker because memory was exhausted."""
    INIT_TIMED_OUT = "init-timed-out"
    """A posted version was not ready in time."""
    INIT_DIED = "init-died"
    """A posted version ended its process while it was loaded."""
    UNSTABLE = "unstable"
    """The action's workers exit in a loop, and there is no earlier version to roll back to."""


LONGEST_DETAIL: Final = 2000
"""Most characters of a detail that is sent to a worker together with connections."""

_NOT_LOCATED: Final = "The action failed to generate or locate a binary. See logs for details."
_NOT_STARTED: Final = "Cannot start action. Check logs for details."
_WHY_NOT_STARTED: Final = "cannot start action: "
_OUT_OF_MEMORY: Final = "The action exhausted its memory and was aborted."

ANSWERS: Final[dict[Cause, dict[Profile, tuple[int, str]]]] = {
    Cause.KILLED: {
        Profile.PLAIN: (502, "killed by {detail} during this request; a fresh worker serves"),
        Profile.OPENWHISK: (400, "command exited"),
    },
    Cause.EXITED: {
        Profile.PLAIN: (502, "left with {detail} during this request; a fresh worker serves"),
        Profile.OPENWHISK: (400, "command exited"),
    },
    Cause.TIMED_OUT: {
        Profile.PLAIN: (502, "no answer within {detail}, so ended; a fresh worker serves"),
        Profile.OPENWHISK: (400, "command exited"),
    },
    Cause.NO_ACTION: {
        Profile.PLAIN: (502, "the action failed to locate a binary"),
        Profile.OPENWHISK: (500, "no action defined yet"),
    },
    Cause.LOAD_FAILED: {
        Profile.PLAIN: (502, "no action is current: {detail}"),
        Profile.OPENWHISK: (500, "no action defined yet"),
    },
    Cause.BUSY: {
        Profile.PLAIN: (503, "the action is busy and too many requests wait; try again"),
        Profile.OPENWHISK: (403, "System not ready, status is running."),
    },
    Cause.LOST: {
        Profile.PLAIN: (502, "the worker that was reading this request died; send it again"),
        Profile.OPENWHISK: (400, "command exited"),
    },
    Cause.STOPPING: {
        Profile.PLAIN: (503, "the server is stopping"),
        Profile.OPENWHISK: (503, "the server is stopping"),
    },
    Cause.OUT_OF_MEMORY: {
        Profile.PLAIN: (502, _OUT_OF_MEMORY),
        Profile.OPENWHISK: (400, _OUT_OF_MEMORY),
    },
    Cause.INIT_TIMED_OUT: {
        Profile.PLAIN: (502, "the version was not ready within {detail}, and was ended"),
        Profile.OPENWHISK: (502, _NOT_STARTED),
    },
    Cause.INIT_DIED: {
        Profile.PLAIN: (502, "the version was ended by {detail} while it was loaded"),
        Profile.OPENWHISK: (502, _NOT_STARTED),
    },
    Cause.UNSTABLE: {
        Profile.PLAIN: (
            502,
            "the action keeps dying outside of requests; post a version that works",
        ),
        Profile.OPENWHISK: (500, "no action defined yet"),
    },
}
"""
Statuses and texts by cause and profile. ``{detail}`` is "signal 9 (SIGKILL)", "exit
status 3", "60 s". OpenWhisk reads 503 as "run it elsewhere", so it is for stopping only;
503 in the plain profile has HTTP's own meaning. The 403 text is the Node.js runtime's.
"""


def failure_answer(profile: Profile, cause: Cause, detail: str = "") -> tuple[int, str]:
    """Return the status and the text of an answer that the action cannot give itself."""
    status, text = ANSWERS[cause][profile]
    return status, text.replace("{detail}", detail or "an unknown cause")


def answer_for_init(
    profile: Profile, error: HotwhiskError, *, logged: bool = True
) -> tuple[int, str]:
    """
    Return the status and the text for an ``/init`` that failed.

    Under OpenWhisk the texts for a version that cannot be built or loaded are fixed. The caller
    writes ``str(error)`` to stderr, unless such errors are not ``logged``. All other errors are
    shown in full.
    """
    text = str(error)
    if profile is Profile.OPENWHISK and isinstance(error, BuildFailed):
        return error.status, _NOT_LOCATED if logged else text
    if profile is Profile.OPENWHISK and isinstance(error, LoadFailed):
        return error.status, _NOT_STARTED if logged else not_started(text)
    return error.status, text


def not_started(reason: str) -> str:
    """Return the text of the platform's proxy for a version that could not be loaded."""
    return reason if reason.startswith(_WHY_NOT_STARTED) else _WHY_NOT_STARTED + reason
