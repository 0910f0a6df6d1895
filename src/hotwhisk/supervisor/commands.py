"""
What `rollout` decides, for the supervisor to carry out.

Pure values. Workers are named by their slot in the scoreboard, connections by their number.
"""

from __future__ import annotations

from enum import Enum

from hotwhisk.ipc.record import Record
from hotwhisk.openwhisk.answers import Cause


class Artifact:
    """The content of a generation. Decisions only pass it on."""


class Requester:
    """The receiver of a replacement's result. Decisions only pass it on."""


class Candidate:
    """
    A replacement that waits or is loading. It came as an ``/init`` on connection ``number``, or
    from ``requester``. ``slot`` is the worker that loads it as ``generation``.
    """

    def __init__(
        self,
        artifact: Artifact,
        number: int | None = None,
        requester: Requester | None = None,
        *,
        rollback: bool = False,
    ) -> None:
        self.artifact = artifact
        self.number = number
        self.requester = requester
        self.rollback = rollback
        self.slot: int | None = None
        self.generation = 0
        self.last = False
        """Whether its connection ends with the answer."""
        self.because = ""
        """The change that the server found by itself; empty if the replacement was requested."""
        self.log = ""
        """What a spare has to write before it is told of its failure."""


class Recovery(Enum):
    """The kinds of what a dead worker owed on a connection."""

    KEEP = "keep"
    """Idle, or half a request that is kept: the next worker goes on."""
    QUEUE = "queue"
    """A whole ``/run`` that was read and not begun."""
    FAIL = "fail"
    """A request that the action had."""
    LOST = "lost"
    """Bytes that died with the worker's memory."""
    CLOSE = "close"
    """An answer that is half sent, or a connection that was being closed."""


class StartWorker(Record):
    """Start a blank worker."""

    worker: int


class Load(Record):
    """Make a blank worker one of ``generation``."""

    worker: int
    generation: int
    artifact: Artifact


class SpawnFrom(Record):
    """Have the template of ``generation`` fork a worker of that generation."""

    worker: int
    generation: int


class KillTemplate(Record):
    """End the template of ``generation``; no worker is forked from it any more."""

    generation: int


class Assign(Record):
    """Give connections to a worker; ``fallback`` and ``detail`` have the meaning of `messages.Assign`."""

    worker: int
    numbers: tuple[int, ...]
    fallback: str = ""
    detail: str = ""


class Recall(Record):
    """Take back every connection that a worker does not touch, and report these as taken."""

    worker: int
    drain: bool = False


class Kill(Record):
    """Kill a worker."""

    worker: int


class SendError(Record):
    """Have ``worker``, a spare, answer a connection of a dead worker."""

    worker: int
    number: int
    cause: Cause
    detail: str


class CloseConnection(Record):
    """End a connection that can get no further answer."""

    number: int


class Reply(Record):
    """Log the requester the result of a replacement: ``status`` 200, or an error and its text."""

    candidate: Candidate
    status: int
    text: str


class RemoveFolder(Record):
    """Remove the folder of ``generation``, which no worker serves any more."""

    generation: int


class ReleaseArtifact(Record):
    """ReleaseArtifact an artifact that no roll-back will need."""

    artifact: Artifact


class Stop(Record):
    """Log a worker that the server leaves."""

    worker: int


class EndLog(Record):
    """Have ``worker``, a spare, end the log of a version that died while it was loading."""

    worker: int
    text: str


class Log(Record):
    """Write one line for the operator of the server."""

    text: str


Command = (
    StartWorker | Load | SpawnFrom | Assign | Recall | Kill | SendError | CloseConnection
    | Reply | RemoveFolder | ReleaseArtifact | Stop | EndLog | Log | KillTemplate
)  # fmt: skip
