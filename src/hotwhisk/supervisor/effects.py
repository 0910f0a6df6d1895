"""
What `succession` decides, for the supervisor to carry out.

Pure values. Workers are named by their slot in the ledger, connections by their number.
"""

from __future__ import annotations

from enum import Enum

from hotwhisk.answers import Cause
from hotwhisk.record import Record


class Artifact:
    """The content of a generation. Decisions only pass it on."""


class Asker:
    """The receiver of a replacement's result. Decisions only pass it on."""


class Candidate:
    """
    A replacement that waits or is loading. It came as an ``/init`` on connection ``number``, or
    from ``asker``. ``slot`` is the worker that loads it as ``generation``.
    """

    def __init__(
        self,
        artifact: Artifact,
        number: int | None = None,
        asker: Asker | None = None,
        *,
        rollback: bool = False,
    ) -> None:
        self.artifact = artifact
        self.number = number
        self.asker = asker
        self.rollback = rollback
        self.slot: int | None = None
        self.generation = 0
        self.last = False
        """Whether its connection ends with the answer."""
        self.because = ""
        """The change that the server found by itself; empty if the replacement was requested."""
        self.log = ""
        """What a desk has to write before it is told of its failure."""


class Debt(Enum):
    """The kinds of what a dead worker owed on a connection."""

    NOTHING = "nothing"
    """Idle, or half a request that is kept: the next worker goes on."""
    PARKED = "parked"
    """A whole ``/run`` that was read and not begun."""
    ANSWER = "answer"
    """A request that the action had."""
    LOST = "lost"
    """Bytes that died with the worker's memory."""
    BROKEN = "broken"
    """An answer that is half sent, or a connection that was being closed."""


class Fork(Record):
    """Start a blank worker."""

    worker: int


class LoadInto(Record):
    """Make a blank worker one of ``generation``."""

    worker: int
    generation: int
    artifact: Artifact


class SpawnFrom(Record):
    """Have the template of ``generation`` fork a worker of that generation."""

    worker: int
    generation: int


class EndTemplate(Record):
    """End the template of ``generation``; no worker is forked from it any more."""

    generation: int


class HandOver(Record):
    """Give connections to a worker; ``duty`` and ``detail`` have the meaning of `messages.Hand`."""

    worker: int
    numbers: tuple[int, ...]
    duty: str = ""
    detail: str = ""


class TakeBack(Record):
    """Take back every connection that a worker does not touch, and report these as taken."""

    worker: int
    leave: bool = False


class Kill(Record):
    """Kill a worker."""

    worker: int


class AnswerFor(Record):
    """Have ``worker``, a desk, answer a connection of a dead worker."""

    worker: int
    number: int
    cause: Cause
    detail: str


class Shut(Record):
    """End a connection that can get no further answer."""

    number: int


class Reply(Record):
    """Tell the asker the result of a replacement: ``status`` 200, or an error and its text."""

    candidate: Candidate
    status: int
    text: str


class Discard(Record):
    """Remove the folder of ``generation``, which no worker serves any more."""

    generation: int


class Release(Record):
    """Release an artifact that no roll-back will need."""

    artifact: Artifact


class Drain(Record):
    """Tell a worker that the server leaves."""

    worker: int


class Mark(Record):
    """Have ``worker``, a desk, end the log of a version that died while it was loading."""

    worker: int
    text: str


class Tell(Record):
    """Write one line for the operator of the server."""

    text: str


Effect = (
    Fork | LoadInto | SpawnFrom | HandOver | TakeBack | Kill | AnswerFor | Shut
    | Reply | Discard | Release | Drain | Mark | Tell | EndTemplate
)  # fmt: skip
