"""
Decide what is done with a connection whose worker has exited.

The scoreboard says how far its request had come. The kernel says how much of an answer was sent.
"""

from __future__ import annotations

from collections.abc import Mapping

from hotwhisk.ipc.scoreboard import CloseAfter, Phase, Scoreboard
from hotwhisk.supervisor.commands import Recovery
from hotwhisk.system.tcp import bytes_written

RECOVERY: Mapping[Phase, Recovery] = {
    Phase.FREE: Recovery.CLOSE,
    Phase.IDLE: Recovery.KEEP,
    Phase.BUFFERED: Recovery.KEEP,
    Phase.PARKED: Recovery.QUEUE,
    Phase.RUNNING: Recovery.FAIL,
    Phase.STREAMING: Recovery.CUT_STREAM,  # only the handler knows the rest
    Phase.LINGERING: Recovery.CLOSE,
    Phase.INIT_PENDING: Recovery.LOST,  # its worker exited before its message was handled
    Phase.CLOSED: Recovery.KEEP,  # its removal follows
}
"""By phase; for `Phase.RESPONDING` it depends on how much of the answer was sent."""


def recovery_for(
    scoreboard: Scoreboard, number: int, descriptor: int, *, claimed: bool
) -> Recovery:
    """
    Return what is done with connection ``number`` of a dead worker; ``claimed`` says whether the
    worker had claimed the connection.
    """
    phase = scoreboard.phase(number)
    if phase is Phase.RESPONDING:
        return _recovery_of_answer(scoreboard, number, descriptor)
    if phase is Phase.STREAMING and _written(descriptor) == scoreboard.row(number).sent:
        return Recovery.FAIL  # not even the head was sent
    if claimed and RECOVERY[phase] in (Recovery.KEEP, Recovery.QUEUE):
        return Recovery.LOST  # the worker may have read bytes that are lost with its memory
    return RECOVERY[phase]


def _recovery_of_answer(scoreboard: Scoreboard, number: int, descriptor: int) -> Recovery:
    row = scoreboard.row(number)
    written = _written(descriptor)
    if written is None:
        return Recovery.CUT  # a second answer would be worse than no answer
    if written == row.sent:
        return Recovery.FAIL
    if written < row.sent + row.answer:  # less than row.sent is impossible, so it counts as broken
        return Recovery.CUT
    return {
        CloseAfter.NO: Recovery.KEEP,
        CloseAfter.REQUESTED: Recovery.CLOSE,
        CloseAfter.READ_AHEAD: Recovery.LOST,
    }[row.close_after]


def _written(descriptor: int) -> int | None:
    """Return how many bytes were ever written; None if the system refuses twice to say it."""
    for _ in range(2):
        try:
            return bytes_written(descriptor)
        except OSError:
            continue
    return None
