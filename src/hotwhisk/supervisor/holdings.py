"""
What the supervisor holds: a duplicate of every client socket, and the memory files of workers.

It never reads a socket. It writes only the answer to an ``/init``, which no worker could give:
the old ones are retired and the new one has not got the connection yet.
"""

from __future__ import annotations

import fcntl
import os
import socket
import termios
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from hotwhisk.ledger import MOVABLE, Ledger, Phase
from hotwhisk.supervisor.debts import debt
from hotwhisk.supervisor.effects import Debt


class Holdings:
    """Sockets by connection number, and memory files by number with the worker they belong to."""

    def __init__(self, ledger: Ledger) -> None:
        self.sockets: dict[int, int] = {}
        self._ledger = ledger
        self._free = deque(range(ledger.capacity))
        self._spills: dict[int, tuple[int, int]] = {}
        self._tenures: dict[int, int] = {}
        self._last_tenure = 0

    # -- sockets ----------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Whether another connection would be one too many."""
        return not self._free

    def admit(self, descriptor: int) -> int:
        """Take a connection that was accepted; returns its number."""
        # The number that was free for longest, so that a late word about its last holder
        # finds it unused.
        number = self._free.popleft()
        self.sockets[number] = descriptor
        self._ledger.open(number)
        return number

    def sweep(self) -> list[int]:
        """Let go of the connections that workers are done with; returns their numbers."""
        closed = self._ledger.in_phase(Phase.CLOSED)
        for number in closed:
            os.close(self.sockets.pop(number))
            self._ledger.set_phase(number, Phase.FREE)
            self._free.append(number)
        return closed

    def shut(self, number: int) -> None:
        """End a connection; whoever has a duplicate sees that."""
        with self._borrowed(number) as connection:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def write(self, number: int, answer: bytes) -> None:
        """
        Answer on a connection that no worker holds. A client that has not read what came before
        it may have left no room: then the connection ends, since the next answer would be taken
        for this one.
        """
        with self._borrowed(number) as connection:
            try:
                length = connection.send(answer, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except OSError:
                length = 0  # or the client is gone
        if length < len(answer):
            self.shut(number)  # whoever gets the connection finds out
        row = self._ledger.row(number)
        self._ledger.answering(number, row.sent + row.answer, len(answer))
        self._ledger.set_phase(number, Phase.WAITING if row.spill else Phase.IDLE)

    @contextmanager
    def _borrowed(self, number: int) -> Iterator[socket.socket]:
        connection = socket.socket(fileno=self.sockets[number])
        try:
            yield connection
        finally:
            connection.detach()

    def is_unread(self, number: int) -> bool:
        """Whether the kernel holds bytes of a connection that no worker has read."""
        answer = fcntl.ioctl(self.sockets[number], termios.FIONREAD, bytes(4))
        return answer != bytes(4)

    def movable(self, numbers: Iterable[int]) -> list[tuple[int, bool]]:
        """Those that can go to another worker, each with whether it is parked."""
        return [
            (number, phase is Phase.PARKED)
            for number in numbers
            if (phase := self._ledger.phase(number)) in MOVABLE
        ]

    def debts(self, numbers: frozenset[int], claimed: int) -> list[tuple[int, Debt]]:
        """What is owed on the connections of a worker that died while it touched ``claimed``."""
        debts = []
        for number in numbers:
            owed = debt(self._ledger, number, self.sockets[number], claimed=number == claimed)
            if owed is Debt.NOTHING and self._ledger.phase(number) is Phase.ANSWERING:
                self.forget_spill_of(number)  # its answer was out
                self._ledger.set_phase(number, Phase.IDLE)
            debts.append((number, owed))
        return debts

    # -- tenures ----------------------------------------------------------------------------

    def begin_tenure(self, number: int) -> int:
        """
        A worker gets connection ``number``. Whatever it says of it names this tenure, so that
        a word that crossed with a recall is not taken for one about the next tenure.
        """
        self._last_tenure += 1
        self._tenures[number] = self._last_tenure
        return self._last_tenure

    def is_current(self, number: int, tenure: int) -> bool:
        """Whether a word about this tenure still counts."""
        return self._tenures.get(number) == tenure

    # -- memory files -----------------------------------------------------------------------

    def deposit(self, spill: int, descriptor: int, slot: int) -> None:
        """A worker has a new memory file."""
        self._spills[spill] = (descriptor, slot)

    def drop(self, spill: int) -> None:
        """A memory file is not needed any more."""
        descriptor, _ = self._spills.pop(spill, (-1, 0))
        if descriptor >= 0:
            os.close(descriptor)

    def has(self, spill: int) -> bool:
        """Whether a memory file of that number was deposited."""
        return spill in self._spills

    def part_with(self, spill: int) -> int:
        """The descriptor of a memory file that is somebody else's from now on."""
        return self._spills.pop(spill)[0]

    def pass_on(self, spill: int, slot: int) -> int:
        """The descriptor of a memory file that is from now on another worker's."""
        descriptor, _ = self._spills[spill]
        self._spills[spill] = (descriptor, slot)
        return descriptor

    def forget_spill_of(self, number: int) -> None:
        """A connection is answered without what was read of it."""
        spill, _ = self._ledger.spill(number)
        if spill:
            self.drop(spill)
            self._ledger.spilled(number, 0, 0)

    def bury(self, slot: int) -> None:
        """Drop the memory files of a dead worker, but those whose bytes the next one goes on with."""
        kept = {self._ledger.spill(number)[0] for number in self.sockets}
        for spill, (_, owner) in list(self._spills.items()):
            if owner == slot and spill not in kept:
                self.drop(spill)
