"""Find what a dead worker owed: from the ledger and, for half-sent answers, from the kernel."""

from __future__ import annotations

from hotwhisk.ledger import Last, Ledger, Phase
from hotwhisk.supervisor.effects import Debt
from hotwhisk.system.tcp import bytes_written


def _written(descriptor: int) -> int | None:
    """Return how many bytes were ever written, or None if the system refuses twice to tell."""
    for _ in range(2):
        try:
            return bytes_written(descriptor)
        except OSError:
            continue
    return None


def debt(ledger: Ledger, number: int, descriptor: int, *, claimed: bool) -> Debt:
    """
    What is owed on connection ``number`` of a worker that died, with ``claimed`` if it was
    touching that connection.
    """
    phase = ledger.phase(number)
    if phase is Phase.ANSWERING:
        return _answer_debt(ledger, number, descriptor)
    if phase is Phase.HANDLING:
        return Debt.ANSWER
    if phase is Phase.LINGERING or phase is Phase.FREE:
        return Debt.BROKEN
    if claimed:  # it may have read bytes that nobody has any more
        return Debt.LOST
    if (
        phase is Phase.LENT
    ):  # it died, or was ended for a false message, before its `Posted` was heard
        return Debt.LOST
    return Debt.PARKED if phase is Phase.PARKED else Debt.NOTHING


def _answer_debt(ledger: Ledger, number: int, descriptor: int) -> Debt:
    row = ledger.row(number)
    written = _written(descriptor)
    if written is None:
        return Debt.BROKEN  # a second answer would be worse than none
    if written == row.sent:
        return Debt.ANSWER
    if written < row.sent + row.answer:  # less than row.sent is impossible, so it counts as broken
        return Debt.BROKEN
    return {Last.NO: Debt.NOTHING, Last.ASKED: Debt.BROKEN, Last.READ_ON: Debt.LOST}[row.last]
