"""
What `succession` decides, for the supervisor to carry out.

Pure values. Workers are named by their slot in the ledger, connections by their number.
"""

from __future__ import annotations

from enum import Enum

from hotwhisk.answers import Cause
from hotwhisk.record import Record


class Artifact:
    """What a generation is made of; opaque to decisions, which only pass it on."""


class Asker:
    """Whoever wants to hear how a replacement ended; opaque as well."""


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
        """What changed, where the server found that out by itself."""
        self.log = ""
        """What a desk has to write before it is told of its failure."""


class Debt(Enum):
    """What a dead worker owed on a connection."""

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
    """Have a worker of ``generation`` forked from the template of that generation."""

    worker: int
    generation: int


class EndTemplate(Record):
    """Nobody is to be forked from the template of ``generation`` any more."""

    generation: int


class HandOver(Record):
    """Give connections to a worker; ``duty`` and ``detail`` as in `messages.Hand`."""

    worker: int
    numbers: tuple[int, ...]
    duty: str = ""
    detail: str = ""


class TakeBack(Record):
    """Take every connection of a worker that it does not touch, and report them as taken."""

    worker: int
    leave: bool = False


class Kill(Record):
    """Kill a worker."""

    worker: int


class AnswerFor(Record):
    """Have ``worker``, a desk, answer a connection for the dead."""

    worker: int
    number: int
    cause: Cause
    detail: str


class Shut(Record):
    """End a connection that can get no more answer."""

    number: int


class Reply(Record):
    """Tell whoever asked for a replacement how it ended: ``status`` 200, or an error and its text."""

    candidate: Candidate
    status: int
    text: str


class Discard(Record):
    """Nothing serves ``generation`` any more: its folder can go."""

    generation: int


class Release(Record):
    """An artifact that no roll-back will want."""

    artifact: Artifact


class Drain(Record):
    """Tell a worker that the server leaves."""

    worker: int


class Mark(Record):
    """Have ``worker``, a desk, end the log of a version that died while it was loading."""

    worker: int
    text: str


class Tell(Record):
    """One line for whoever watches the server."""

    text: str


Effect = (
    Fork | LoadInto | SpawnFrom | HandOver | TakeBack | Kill | AnswerFor | Shut
    | Reply | Discard | Release | Drain | Mark | Tell | EndTemplate
)  # fmt: skip
