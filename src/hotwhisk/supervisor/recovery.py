"""Find what a dead worker owed: from the scoreboard and, for half-sent answers, from the kernel."""

from __future__ import annotations

from hotwhisk.ipc.scoreboard import CloseAfter, Phase, Scoreboard
from hotwhisk.supervisor.commands import Recovery
from hotwhisk.system.tcp import bytes_written


def _written(descriptor: int) -> int | None:
    """Return how many bytes were ever written, or None if the system refuses twice to tell."""
    for _ in range(2):
        try:
            return bytes_written(descriptor)
        except OSError:
            continue
    return None


def recovery_for(
    scoreboard: Scoreboard, number: int, descriptor: int, *, claimed: bool
) -> Recovery:
    """
    What is owed on connection ``number`` of a worker that died, with ``claimed`` if it was
    touching that connection.
    """
    phase = scoreboard.phase(number)
    if phase is Phase.RESPONDING:
        return _recovery_of_answer(scoreboard, number, descriptor)
    if phase is Phase.RUNNING:
        return Recovery.FAIL
    if phase is Phase.LINGERING or phase is Phase.FREE:
        return Recovery.CLOSE
    if claimed:  # it may have read bytes that nobody has any more
        return Recovery.LOST
    if (
        phase is Phase.INIT_PENDING
    ):  # it died, or was ended for a false message, before its `UploadedArtifact` was heard
        return Recovery.LOST
    return Recovery.QUEUE if phase is Phase.PARKED else Recovery.KEEP


def _recovery_of_answer(scoreboard: Scoreboard, number: int, descriptor: int) -> Recovery:
    row = scoreboard.row(number)
    written = _written(descriptor)
    if written is None:
        return Recovery.CLOSE  # a second answer would be worse than none
    if written == row.sent:
        return Recovery.FAIL
    if written < row.sent + row.answer:  # less than row.sent is impossible, so it counts as broken
        return Recovery.CLOSE
    return {
        CloseAfter.NO: Recovery.KEEP,
        CloseAfter.REQUESTED: Recovery.CLOSE,
        CloseAfter.READ_AHEAD: Recovery.LOST,
    }[row.last]
