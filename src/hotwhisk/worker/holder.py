"""
The connections that one worker holds, and the only way to touch them.

What it may touch a worker learns from the supervisor, and the order of its hands is what keeps
the promises (see `ledger` for the claim):

    claim a connection → look for a recall → read → look for a recall → call → write → unclaim

The second look is for promise 3: bytes that were read after a replacement was answered belong
to the new generation, so they go back unanswered. Looking is one load from shared memory.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from hotwhisk.contract import error_body
from hotwhisk.errors import RequestError
from hotwhisk.ledger import Ledger
from hotwhisk.messages import Busy, Closed, Deposit, Drop, Released
from hotwhisk.worker import invocation
from hotwhisk.worker.connection import Connection, Gone
from hotwhisk.worker.loop import EpollLoop, Loop
from hotwhisk.worker.spill import Spills

if TYPE_CHECKING:
    from hotwhisk.channel import Channel
    from hotwhisk.http1.http1 import Request

READ_SIZE = 65536


class Holder:
    """
    The connections of one worker process. ``place`` is the worker's slot in the ledger, and how
    often that was recalled before; ``lowest`` is the least number of its own descriptors.
    """

    def __init__(
        self, channel: Channel, ledger: Ledger, place: tuple[int, int], lowest: int
    ) -> None:
        self._ledger = ledger
        self._words = ledger.words
        self._lowest = lowest
        self._headers = b""
        self._leaving = False
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._take_place(channel, place)
        os.register_at_fork(after_in_child=self._become_copy)

    def _take_place(self, channel: Channel, place: tuple[int, int]) -> None:
        """
        Begin, without connections: at birth, and in a worker that is forked from a template.
        """
        self._copied = False
        self.channel = channel
        self.loop: Loop = EpollLoop(self._lowest)
        self.connections: dict[int, Connection] = {}
        self._pid = os.getpid()
        slot, self._recalls = place
        ledger = self._ledger
        self._recalls_at, self._claim_at = ledger.recalls_at(slot), ledger.claim_at(slot)
        self._spills = Spills((slot << 48) + (self._pid << 24) + 1, self._deposit, self._drop)
        self.loop.watch(channel.fileno(), self.obey)
        channel.on_backlog = self._await_channel

    def obey(self) -> None:
        """
        Carry out every order that waits; `worker` knows how.
        """
        raise NotImplementedError

    def _admit(self, number: int, descriptor: int, duty: str = "") -> Connection:
        connection = Connection(number, descriptor, self._ledger, self._spills, duty)
        self.connections[number] = connection
        return connection

    def _watch(self, connection: Connection) -> None:
        self.loop.watch(
            connection.socket.fileno(), partial(self._under_claim, connection, self._receive)
        )

    # -- touching ---------------------------------------------------------------------------

    def _receive(self, connection: Connection) -> Request | None:
        if not connection.closing:
            return connection.receive(self._buffer)
        connection.discard(self._buffer)
        return None

    def _resume(self, connection: Connection) -> Request | None:
        request = connection.examine_spill() if connection.spill else None
        return request or connection.receive(self._buffer)

    def _under_claim(
        self, connection: Connection, first: Callable[[Connection], Request | None]
    ) -> None:
        """
        Touch a connection: take the first step, then answer every request that is whole.

        A connection that is busy is ours whatever was recalled; any other may be somebody
        else's by now, and the claim finds out.
        """
        if self._copied:
            invocation.leave(0)  # a child of the action runs on in our loop
        words, recalls_at = self._words, self._recalls_at
        words[self._claim_at] = connection.number + 1
        if connection.busy or words[recalls_at] == self._recalls:
            try:
                request = first(connection)
                while request is not None:
                    if words[recalls_at] != self._recalls:
                        connection.put_back()
                        break
                    if not self._answer(connection, request):
                        break
                    request = connection.next_request()
            except Gone:
                self._close(connection)
            except RequestError as error:
                self._refuse(connection, error.status, str(error))
        words[self._claim_at] = 0
        if words[recalls_at] != self._recalls:
            self.obey()

    def _answer(self, connection: Connection, request: Request) -> bool:
        """
        Answer one request; True if the connection can be asked for the next.
        """
        raise NotImplementedError

    def _answered(self, connection: Connection) -> bool:
        """
        An answer is out; True if the connection can be asked for more.
        """
        connection.request_done()
        if connection.closing:
            if connection.unread or connection.has_rest:
                self._linger(connection)
            else:
                self._close(connection)
            return False
        if connection.has_rest and self._leaving:
            connection.keep_rest()  # it may be of the time after the replacement
            self._give_back(connection)
            return False
        if connection.has_rest:
            return True  # until that is begun, or kept, the ledger says that it was read
        # In this order: idle under a claim would mean that something was read and not answered.
        self._words[self._claim_at] = 0
        self._ledger.set_phase(connection.number, 1)  # Phase.IDLE, without a look-up
        if self._leaving:
            self._give_back(connection)
            return False
        return True

    def _flush(self, connection: Connection) -> Request | None:
        if not connection.flush():
            return None
        connection.busy = False
        self._watch(connection)
        return connection.next_request() if self._answered(connection) else None

    def _wait_to_write(self, connection: Connection) -> None:
        connection.busy = True
        self.loop.watch_writable(
            connection.socket.fileno(), lambda: self._under_claim(connection, self._flush)
        )

    def _refuse(self, connection: Connection, status: int, text: str) -> None:
        """
        Answer without having read everything, and close.
        """
        connection.closing = connection.unread = True
        try:
            if connection.answer(status, error_body(text), self._headers, keep_alive=False):
                self._linger(connection)
            else:
                self._wait_to_write(connection)
        except Gone:
            self._close(connection)

    def _linger(self, connection: Connection) -> None:
        connection.busy = True
        connection.request_done()
        self._watch(connection)
        connection.linger()
        self._ledger.lingering(connection.number, time.monotonic())
        if not self._ledger.ticking:
            self.channel.send(Busy())

    # -- parting ----------------------------------------------------------------------------

    def _forget(self, connection: Connection) -> None:
        del self.connections[connection.number]
        self.loop.unwatch(connection.socket.fileno())
        connection.let_go()

    def _give_back(self, connection: Connection) -> None:
        self._forget(connection)
        self.channel.send(Released([[connection.number, connection.tenure]]))
        self._leave_if_done()

    def _close(self, connection: Connection) -> None:
        del self.connections[connection.number]
        self.loop.unwatch(connection.socket.fileno())
        connection.close()
        if self._ledger.attentive:
            self.channel.send(Closed())
        self._leave_if_done()

    def _leave_if_done(self) -> None:
        if self._leaving and not self.connections:
            invocation.leave_in_order()

    def _deposit(self, number: int, descriptor: int) -> None:
        self.channel.send(Deposit(number), (descriptor,))
        self.channel.flush_all()  # the ledger names it next, and is believed

    def _drop(self, number: int) -> None:
        self.channel.send(Drop(number))

    def _await_channel(self) -> None:
        self.loop.watch_writable(self.channel.fileno(), self._flush_channel)

    def _flush_channel(self) -> None:
        self.channel.flush()
        if not self.channel.backlog:
            self.loop.watch(self.channel.fileno(), self.obey)

    def _become_copy(self) -> None:
        """
        In a child that the action forked: our descriptors are none of its business.
        """
        self._copied = True
        for connection in self.connections.values():
            connection.socket.close()
        self.channel.close()
        if isinstance(self.loop, EpollLoop):
            self.loop.close()
