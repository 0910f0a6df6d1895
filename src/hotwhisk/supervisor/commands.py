"""
The decisions of `rollout`, which `executor` carries out. A command that sends a message has its
name.

Pure values. Workers are named by their slot in the scoreboard, connections by their number.
"""

from __future__ import annotations

from enum import Enum

from hotwhisk.ipc import messages
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.record import Record
from hotwhisk.supervisor.log_events import LogEvent


class Origin(Record):
    """
    Where an artifact comes from: the path of a file or a folder, or the name of a ``module``.

    The path is empty if the artifact was posted.
    """

    path: str = ""
    module: bool = False
    main: str = "main"


class Label(Record):
    """A generation and its digest: the value of the header ``Hotwhisk-Generation``."""

    generation: int
    digest: str

    def __str__(self) -> str:
        return f"{self.generation} {self.digest}"


class Artifact:
    """The content of a generation. Decisions only pass it on; `artifacts` has the kinds."""

    origin = Origin()
    """Where it comes from."""

    def load_message(
        self, generation: int, folder: str, *, template: bool, further: bool
    ) -> tuple[messages.Load, list[int]]:
        """Return the message that tells a worker to load the artifact, and its descriptors."""
        raise NotImplementedError

    def release(self) -> None:
        """Release the artifact, because no worker will load it any more."""
        raise NotImplementedError

    def held(self) -> tuple[int, int, int] | None:
        """Return descriptor, offset and length of its bytes in memory; None if there are none."""
        return None


class Requester:
    """Who gets the result of a replacement. Decisions only pass it on."""


class Candidate:
    """
    A replacement that waits or is loading. It came as an ``/init`` on a ``connection``, given by
    its number, or from ``requester``. ``slot`` is the worker that loads it as ``generation``.
    """

    def __init__(
        self,
        artifact: Artifact,
        connection: int | None = None,
        requester: Requester | None = None,
        *,
        rollback: bool = False,
    ) -> None:
        self.artifact = artifact
        self.connection = connection
        self.requester = requester
        self.rollback = rollback
        self.slot: int | None = None
        self.generation = 0
        self.restores = 0
        """The version of the history that it makes current again; 0 if it is a new one."""
        self.fallback: Candidate | None = None
        """What is loaded if this cannot be loaded, at the start of a server."""
        self.last = False
        """Whether its connection is closed after the answer."""
        self.because = ""
        """The change that the server found by itself; empty if the replacement was requested."""
        self.superseded = False
        """Whether a newer save of the same sources waits for the end of its load."""
        self.verdict = ""
        """What came of its trial, or why there was none; empty if none was asked for."""
        self.log = ""
        """What a spare has to write to the log before the requester gets the result."""

    def refusal(self, current: int) -> str:
        """Return the line of the log for its failure. Generation ``current`` goes on; 0 is none."""
        what = "the roll-back failed" if self.rollback else "a version was refused"
        return f"{what}; " + (
            f"generation {current} goes on" if current else "no action is current"
        )


class Recovery(Enum):
    """What is done with a connection of a dead worker."""

    KEEP = "keep"
    """Idle, or half a request that is kept: the next worker reads on."""
    QUEUE = "queue"
    """A whole ``/run`` was read and not begun: it waits for another worker."""
    FAIL = "fail"
    """The action had the request: a spare sends an error."""
    LOST = "lost"
    """Bytes that were read are lost with the worker's memory: a spare sends an error."""
    CLOSE = "close"
    """The connection was being closed: it is closed."""
    CUT = "cut"
    """A part of an answer was sent: the connection is closed, because a second would follow it."""
    CUT_STREAM = "cut-stream"
    """The same, and the action had the request: it was answering in parts."""


class StartWorker(Record):
    """Start the process of a worker. That of a spare may wait, see `Rollout.spare_may_wait`."""

    worker: int


class Load(Record):
    """Have a spare load the artifact of ``generation``."""

    worker: int
    generation: int
    artifact: Artifact


class Spawn(Record):
    """Have a template fork a worker. Both are slots."""

    worker: int
    template: int


class BeginTrial(Record):
    """Open the socket for copies of requests, and have a worker run what comes on it."""

    worker: int


class OfferCopies(Record):
    """Have a worker send copies of requests into that socket."""

    worker: int


class CloseTrial(Record):
    """Close that socket, because the trial is over."""


class Assign(Record):
    """Give connections to a worker. `messages.Assign` explains ``run_error`` and ``detail``."""

    worker: int
    numbers: tuple[int, ...]
    run_error: str = ""
    detail: str = ""


class Recall(Record):
    """
    Take back every connection that a worker has not claimed, and report these as reclaimed.
    `messages.Recall` explains ``drain`` and ``keep``.
    """

    worker: int
    drain: bool = False
    keep: bool = False


class Restore(Record):
    """Have a kept worker, which has no connection, serve again as one of ``generation``."""

    worker: int
    generation: int
    digest: str


class Kill(Record):
    """Kill a worker or a template."""

    worker: int


class SendError(Record):
    """
    Have ``worker``, a spare, answer a connection that no worker can answer.

    ``label`` names the generation that had the request; None is the current one.
    """

    worker: int
    number: int
    cause: Cause
    detail: str
    label: Label | None = None


class CloseConnection(Record):
    """Close a connection that can get no further answer."""

    number: int


class SendAnswer(Record):
    """Answer the requester of a replacement: ``status`` 200, or an error and its text."""

    candidate: Candidate
    status: int
    text: str


class RemoveFolder(Record):
    """Have ``worker``, a spare, remove the folder of ``generation``, which no worker serves."""

    worker: int
    generation: int


class ReleaseArtifact(Record):
    """Release an artifact that no roll-back will need."""

    artifact: Artifact


class Send(Record):
    """Send a message to a worker."""

    worker: int
    message: messages.Message


class Log(Record):
    """Write one line for the operator of the server. ``event`` names it in a log of JSON."""

    text: str
    event: LogEvent


Command = (
    StartWorker | Load | Spawn | Assign | Recall | Restore | Kill | SendError | CloseConnection
    | SendAnswer | RemoveFolder | ReleaseArtifact | Send | Log | BeginTrial | OfferCopies | CloseTrial
)  # fmt: skip
