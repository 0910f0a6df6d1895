"""
Keep a duplicate of every client socket, and the memory files of workers (see `spill_files`).

The supervisor never reads a socket. It writes only the answer to an ``/init``, which no worker can
send: the old workers are draining, and the new one does not have the connection yet.
"""

from __future__ import annotations

import _socket
import fcntl
import os
import termios
from collections.abc import Callable, Iterable

from hotwhisk.ipc.messages import ProtocolError, SpillCreated
from hotwhisk.ipc.scoreboard import MOVABLE, Phase, Scoreboard
from hotwhisk.supervisor.commands import Recovery
from hotwhisk.supervisor.free_numbers import FreeNumbers
from hotwhisk.supervisor.recovery import recovery_for
from hotwhisk.supervisor.spill_files import NO_SLOT, SpillFiles
from hotwhisk.supervisor.unread import Inputs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.supervisor.process import Process

SEND = _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL

NOT_YET = (0, NO_SLOT)
"""The epoch of a connection that no worker has had yet."""


class Sockets:
    """
    The sockets by connection number, the epoch of each, and ``spills``, the memory files.

    While a worker has a connection, the supervisor believes the connection's row in the scoreboard.
    If no worker has it, only the supervisor may change the row, and other changes are corrected.
    """

    def __init__(
        self, scoreboard: Scoreboard, close: Callable[[int], None] = os.close, *, workers: int = 1
    ) -> None:
        self._close = close
        self.descriptors: dict[int, int] = {}
        self.most = scoreboard.capacity
        """The number of connections for which descriptors remain beside the living processes."""
        self.inputs = Inputs()
        self._scoreboard = scoreboard
        self._free = FreeNumbers(scoreboard.capacity)
        self._ended: set[int] = set()
        """Connections that the supervisor has closed and `remove_closed` has not removed yet."""
        self._epochs: dict[int, tuple[int, int]] = {}
        """For each open connection its latest epoch and that worker's slot; or `NOT_YET`."""
        self._last_epoch = 0
        self.counted: set[int] = set()
        """
        Connections on which a worker sends an error for a dead one. The supervisor has counted
        the request, so it is not counted again if that worker dies too.
        """
        # A worker may keep a file for its next request, and there are two generations of workers.
        self.spills = SpillFiles(scoreboard.capacity + 2 * workers, close)

    # -- sockets ----------------------------------------------------------------------------

    @property
    def full(self) -> bool:
        """Return whether there is no room for another connection."""
        return len(self.descriptors) >= min(self.most, self._scoreboard.capacity)

    def add(self, descriptor: int) -> int:
        """Take an accepted connection, and return its number."""
        number = self._free.take()
        self.descriptors[number] = descriptor
        self._epochs[number] = NOT_YET
        self._scoreboard.begin_connection(number)
        return number

    def remove_closed(self, numbers: Iterable[int], is_owned: Callable[[int], bool]) -> list[int]:
        """
        Close the connections that the scoreboard says are over; return the numbers of those closed.

        Only a worker that has a connection (``is_owned``) may mark it as over.
        """
        closed = []
        for number in numbers:
            if number in self.descriptors and not is_owned(number) and number not in self._ended:
                self._scoreboard.set_phase(number, Phase.IDLE)
                continue
            self._scoreboard.set_phase(number, Phase.FREE)
            if number in self.descriptors:
                descriptor = self.descriptors.pop(number)
                del self._epochs[number]  # else it is kept for each number that was ever used
                self.inputs.forget(descriptor)
                self._close(descriptor)
                self._ended.discard(number)
                self.spills.forget(number)
                self._free.give_back(number)
                closed.append(number)
        return closed

    def close(self, number: int) -> None:
        """Close a connection that no worker has; `remove_closed` removes it."""
        if number not in self.descriptors:
            return  # it was closed meanwhile
        self.shutdown(number)
        self.close_spill_of(number)
        self._ended.add(number)
        self._scoreboard.set_phase(number, Phase.CLOSED)

    def shutdown(self, number: int) -> None:
        """Shut a connection down, if it exists; every process with a duplicate notices that."""
        if number not in self.descriptors:
            return
        connection = self._borrow(number)
        try:
            connection.shutdown(_socket.SHUT_RDWR)
        except OSError:
            pass
        finally:
            connection.detach()

    def send_response(self, number: int, response: bytes) -> None:
        """
        Answer on a connection that no worker has.

        If the client has not read earlier answers, there may be no room. Then the connection is
        shut down, because the client would take the next answer for this one.
        """
        connection = self._borrow(number)
        try:
            length = connection.send(response, SEND)
        except OSError:
            length = 0  # or the client is gone
        finally:
            connection.detach()
        if length < len(response):
            self.shutdown(number)  # the worker that gets the connection finds it closed
        self._scoreboard.set_responding(number, self._scoreboard.sent(number), len(response))
        spill, _ = self._scoreboard.spill(number)
        self._scoreboard.set_phase(number, Phase.BUFFERED if spill else Phase.IDLE)

    def _borrow(self, number: int) -> _socket.socket:
        """Return a connection's socket; the caller has to detach it."""
        # Given a family and a type, whatever they are: no code above depends on them.
        return _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM, 0, self.descriptors[number])

    def is_unread(self, number: int) -> bool:
        """Return whether the kernel holds bytes of a connection that no worker has read."""
        try:
            answer = fcntl.ioctl(self.descriptors[number], termios.FIONREAD, bytes(4))
        except OSError:
            return True  # the safe answer, since the system does not say it
        return answer != bytes(4)

    def movable(self, numbers: Iterable[int], *, but: int = -1) -> list[tuple[int, bool]]:
        """
        Return those of the connections, ``but`` one, that can go to another worker, in their order,
        each with whether it is parked.
        """
        return [
            (number, phase is Phase.PARKED)
            for number in numbers
            if number != but and (phase := self._scoreboard.phase(number)) in MOVABLE
        ]

    def recoveries(self, numbers: Iterable[int], claimed: int) -> list[tuple[int, Recovery]]:
        """Return what is done with each connection of a dead worker, which claimed ``claimed``."""
        recoveries = []
        for number in numbers:
            if number not in self.descriptors:
                continue
            recovery = recovery_for(
                self._scoreboard, number, self.descriptors[number], claimed=number == claimed
            )
            if recovery is Recovery.KEEP and self._scoreboard.phase(number) is Phase.RESPONDING:
                self.close_spill_of(number)  # its answer was out
                self._scoreboard.set_phase(number, Phase.IDLE)
            recoveries.append((number, recovery))
        return recoveries

    # -- epochs ----------------------------------------------------------------------------

    def next_epoch(self, number: int, slot: int) -> int:
        """
        Begin an epoch: the worker in ``slot`` gets connection ``number``.

        Every message of the worker about this connection names the epoch. So if a message crosses
        a recall, it is not taken for a message about the next epoch.
        """
        self._last_epoch += 1
        self.counted.discard(number)
        self._epochs[number] = (self._last_epoch, slot)
        return self._last_epoch

    def is_current(self, number: int, epoch: int, slot: int) -> bool:
        """
        Return whether a message of the worker in ``slot`` about this epoch still counts.

        Raises:
            ProtocolError: the epoch belongs to another worker.
        """
        latest, owner = self._epochs.get(number, NOT_YET)
        if latest != epoch:
            return False
        if owner != slot:
            raise ProtocolError(f"epoch {epoch} of connection {number} is not its own")
        return True

    # -- memory files -----------------------------------------------------------------------

    def spilled(self, number: int) -> tuple[int, int] | None:
        """
        Return the memory file with the unread bytes of a connection, and their count.

        The file is 0 if there are no such bytes. Returns None if the scoreboard names a file that
        does not exist, or that does not belong to the connection's worker.
        """
        spill, length = self._scoreboard.spill(number)
        if not spill:
            return 0, 0
        _, slot = self._epochs[number]
        return (spill, length) if self.spills.holds(spill, length, slot, number) else None

    def give_reserve(self, process: Process) -> None:
        """Make a memory file for a worker that lacks one: its action may forbid to make files."""
        if not process.generation or process.slot in self.spills.reserves:
            return
        made = self.spills.make_reserve(process.slot)
        if made is not None:
            number, descriptor = made
            process.channel.send(SpillCreated(number), (descriptor,))

    def close_spill_of(self, number: int) -> None:
        """Close the memory file of a connection that is answered without its unread bytes."""
        unread = self.spilled(number)
        if unread is not None and unread[0]:
            self.spills.close(unread[0])
        self._scoreboard.set_spill(number, 0, 0)

    def close_spills_of_worker(self, slot: int) -> None:
        """Close a dead worker's memory files, except those that the next worker needs."""
        kept: dict[int, int] = {}
        for number in self.descriptors:
            latest, owner = self._epochs[number]
            if owner == slot:
                unread = self.spilled(number)
                if unread is not None and unread[0]:
                    kept.setdefault(unread[0], number)
                self._epochs[number] = (latest, NO_SLOT)  # another worker may get the slot
        self.spills.close_of_worker(slot, kept)
