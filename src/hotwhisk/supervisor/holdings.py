"""
Hold a duplicate of every client socket, and the memory files of workers (see `spill_files`).

It never reads a socket. It writes only the answer to an ``/init``, which no worker could give:
the old ones are retired and the new one has not got the connection yet.
"""

from __future__ import annotations

import fcntl
import os
import socket
import termios
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hotwhisk.ledger import MOVABLE, Ledger, Phase
from hotwhisk.messages import Deposit, ProtocolError
from hotwhisk.supervisor.debts import debt
from hotwhisk.supervisor.effects import Debt
from hotwhisk.supervisor.inputs import Inputs
from hotwhisk.supervisor.spill_files import NO_SLOT, SpillFiles

if TYPE_CHECKING:
    from hotwhisk.channel import Channel

NOT_YET = (0, NO_SLOT)
"""The tenure of a connection that no worker has had yet."""


class Holdings:
    """
    The sockets by connection number, the holder of each, and ``spills``, the memory files.

    The ledger's entry for a connection is trusted while a worker has that connection. If no worker
    has it, only the supervisor may change the entry, and what a worker wrote there is corrected.
    """

    def __init__(
        self, ledger: Ledger, close: Callable[[int], None] = os.close, *, workers: int = 1
    ) -> None:
        self._close = close
        self.sockets: dict[int, int] = {}
        self.most = ledger.capacity
        """The number of connections for which descriptors remain beside the living processes."""
        self.inputs = Inputs()
        self._ledger = ledger
        self._free = deque(range(ledger.capacity))
        self._ended: set[int] = set()
        """Connections that the supervisor itself has ended, and that no sweep has handled yet."""
        self._tenures: dict[int, tuple[int, int]] = {}
        """For each connection its latest tenure and the slot of that worker; or `NOT_YET`."""
        self._last_tenure = 0
        # A worker may keep a file for its next request, and there are two generations of workers.
        self.spills = SpillFiles(ledger.capacity + 2 * workers, close)

    # -- sockets ----------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Return whether there is no room for another connection."""
        return not self._free or len(self.sockets) >= self.most

    def admit(self, descriptor: int) -> int:
        """Take an accepted connection, and return its number."""
        # The number that was free for longest, so that a late word about its last holder
        # finds it unused.
        number = self._free.popleft()
        self.sockets[number] = descriptor
        self._tenures[number] = NOT_YET
        self._ledger.open(number)
        return number

    def sweep(self, held: Callable[[int], bool]) -> list[int]:
        """
        Close the connections that are over, and return their numbers.

        Only a worker that has a connection (``held``) may mark it as over.
        """
        closed = []
        for number in self._ledger.in_phase(Phase.CLOSED):
            if number in self.sockets and not held(number) and number not in self._ended:
                self._ledger.set_phase(number, Phase.IDLE)
                continue
            self._ledger.set_phase(number, Phase.FREE)
            if number in self.sockets:
                descriptor = self.sockets.pop(number)
                self.inputs.forget(descriptor)
                self._close(descriptor)
                self._ended.discard(number)
                self.spills.forget(number)
                self._free.append(number)
                closed.append(number)
        return closed

    def end(self, number: int) -> None:
        """End a connection that no worker has and drop its bytes; the next sweep forgets it."""
        self.shut(number)
        self.forget_spill_of(number)
        self._ended.add(number)
        self._ledger.set_phase(number, Phase.CLOSED)

    def shut(self, number: int) -> None:
        """Shut down a connection, if it exists; every process with a duplicate notices that."""
        if number not in self.sockets:
            return
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
        self._ledger.answering(number, self._ledger.sent(number), len(answer))
        spill, _ = self._ledger.spill(number)
        self._ledger.set_phase(number, Phase.WAITING if spill else Phase.IDLE)

    @contextmanager
    def _borrowed(self, number: int) -> Iterator[socket.socket]:
        # Given the family and type, Python does not ask the system; no code below depends on them.
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, self.sockets[number])
        try:
            yield connection
        finally:
            connection.detach()

    def is_unread(self, number: int) -> bool:
        """Return whether the kernel holds bytes of a connection that no worker has read."""
        try:
            answer = fcntl.ioctl(self.sockets[number], termios.FIONREAD, bytes(4))
        except OSError:
            return True  # the safe answer, since the system does not tell
        return answer != bytes(4)

    def movable(self, numbers: Iterable[int]) -> list[tuple[int, bool]]:
        """Return the connections that can go to another worker, each with whether it is parked."""
        return [
            (number, phase is Phase.PARKED)
            for number in numbers
            if (phase := self._ledger.phase(number)) in MOVABLE
        ]

    def debts(self, numbers: frozenset[int], claimed: int) -> list[tuple[int, Debt]]:
        """Return the debts on a dead worker's connections; it touched ``claimed`` when it died."""
        debts = []
        for number in numbers:
            if number not in self.sockets:
                continue
            try:
                owed = debt(self._ledger, number, self.sockets[number], claimed=number == claimed)
            except OSError:  # the kernel does not tell how much of an answer was sent
                owed = Debt.BROKEN
            if owed is Debt.NOTHING and self._ledger.phase(number) is Phase.ANSWERING:
                self.forget_spill_of(number)  # its answer was out
                self._ledger.set_phase(number, Phase.IDLE)
            debts.append((number, owed))
        return debts

    # -- tenures ----------------------------------------------------------------------------

    def begin_tenure(self, number: int, slot: int) -> int:
        """
        Begin a tenure: the worker in ``slot`` gets connection ``number``.

        Every message of the worker about this connection names the tenure. So if a message crosses
        a recall, it is not taken for a message about the next tenure.
        """
        self._last_tenure += 1
        self._tenures[number] = (self._last_tenure, slot)
        return self._last_tenure

    def is_current(self, number: int, tenure: int, slot: int) -> bool:
        """
        Return whether a message of the worker in ``slot`` about this tenure still counts.

        Raises:
            ProtocolError: the tenure belongs to another worker.
        """
        latest, holder = self._tenures.get(number, NOT_YET)
        if latest != tenure:
            return False
        if holder != slot:
            raise ProtocolError(f"tenure {tenure} of connection {number} is not its own")
        return True

    # -- memory files -----------------------------------------------------------------------

    def unread(self, number: int) -> tuple[int, int] | None:
        """
        Return the memory file with the unread bytes of a connection, and their count.

        The file is 0 if there are no such bytes. Returns None if the ledger names a file that does
        not exist, or that does not belong to the connection's worker.
        """
        spill, length = self._ledger.spill(number)
        if not spill:
            return 0, 0
        _, slot = self._tenures[number]
        return (spill, length) if self.spills.holds(spill, length, slot, number) else None

    def give_reserve(self, slot: int, channel: Channel) -> None:
        """Make a memory file for a worker, in case its action forbids the worker to make one."""
        made = self.spills.make_reserve(slot)
        if made is not None:
            number, descriptor = made
            channel.send(Deposit(number), (descriptor,))

    def forget_spill_of(self, number: int) -> None:
        """Close the memory file of a connection that is answered without its unread bytes."""
        unread = self.unread(number)
        if unread is not None and unread[0]:
            self.spills.close(unread[0])
        self._ledger.spilled(number, 0, 0)

    def bury(self, slot: int) -> None:
        """Drop a dead worker's memory files, except those that the next worker continues with."""
        kept: dict[int, int] = {}
        for number in self.sockets:
            latest, holder = self._tenures[number]
            if holder == slot:
                unread = self.unread(number)
                if unread is not None and unread[0]:
                    kept.setdefault(unread[0], number)
                self._tenures[number] = (latest, NO_SLOT)  # another worker may get the slot
        self.spills.bury(slot, kept)
