"""
The connections that one worker holds, and the only way to touch them.

What it may touch a worker learns from the supervisor, and the order of its hands is what keeps
the promises (see `scoreboard` for the claim):

    claim a connection → look for a recall → read → look for a recall → call → write → unclaim

The second look is for promise 3: bytes that were read after a replacement was answered belong
to the new generation, so they go back unanswered. Looking is one load from shared memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from os import getpid
from time import monotonic
from typing import TYPE_CHECKING

from hotwhisk.ipc.messages import Closed, Released, SpillClosed, SpillCreated, StartTimer
from hotwhisk.ipc.scoreboard import Scoreboard
from hotwhisk.openwhisk.bodies import error_body
from hotwhisk.worker import invocation, recovery
from hotwhisk.worker.connection import After, Connection, Stage
from hotwhisk.worker.event_loop import REPEATABLE, EpollLoop, Loop
from hotwhisk.worker.socket_errors import Disconnected
from hotwhisk.worker.spill import Spills
from hotwhisk.worker.streams import Streams

if TYPE_CHECKING:
    from hotwhisk.http1.http1 import Request
    from hotwhisk.ipc.channel import Channel

READ_SIZE = 65536


class Connections:
    """
    The connections of one worker process. ``place`` is the worker's slot in the scoreboard, and how
    often that was recalled before; ``lowest`` is the least number of its own descriptors;
    ``obey`` carries out the orders that wait in the channel.

    The code that answers requests sets two functions. ``answer`` answers a request.
    ``end_interrupted`` answers a request if an exception from outside broke off its run. Both
    return whether the connection can be asked for the next request.
    """

    def __init__(
        self,
        channel: Channel,
        scoreboard: Scoreboard,
        place: tuple[int, int],
        lowest: int,
        obey: Callable[[], None],
    ) -> None:
        self.answer: Callable[[Connection, Request], bool]
        self.end_interrupted: Callable[[Connection, BaseException], bool]
        self.scoreboard = scoreboard
        self.headers = b""
        """Lines of every answer's head: which generation gave it."""
        self.draining = False
        self.streams = Streams(lowest, scoreboard.streams)
        self._words = scoreboard.words
        self._lowest = lowest
        self._handle_messages = obey
        self.buffer = memoryview(bytearray(READ_SIZE))
        self.reset(channel, place)
        os.register_at_fork(after_in_child=self._after_fork)

    def reset(self, channel: Channel, place: tuple[int, int]) -> None:
        """Begin, without connections: at pending_fork, and in a worker that is forked from a template."""
        self.channel = channel
        self.loop: Loop = EpollLoop(self._lowest)
        self.by_number: dict[int, Connection] = {}
        self.pid = getpid()
        self.forked = False
        """Whether this process is a child of the action that runs on in our loop."""
        slot, self._recalls = place
        self._recalls_at = self.scoreboard.recall_word(slot)
        self._claim_at = self.scoreboard.claim_word(slot)
        first = (slot << 48) + (self.pid << 24) + 1
        self.spills = Spills(
            first, self._spill_created, self._spill_closed, self.streams.reopen_closed
        )
        self.loop.watch(channel.fileno(), self._handle_messages)
        channel.on_backlog = self._await_channel

    def add(self, number: int, descriptor: int, epoch: int, fallback: str = "") -> Connection:
        """Take a connection that the supervisor hands over."""
        connection = Connection(number, descriptor, self.scoreboard, self.spills, fallback)
        connection.epoch = epoch
        self.by_number[number] = connection
        return connection

    def has(self, connection: Connection) -> bool:
        """Return whether the connection is still here. It may have ended or moved elsewhere."""
        return self.by_number.get(connection.number) is connection

    def recall(self) -> list[Connection]:
        """Let go of every connection that is not busy, and return those connections."""
        self._recalls = (self._recalls + 1) & 0xFFFFFFFF
        free = [each for each in self.by_number.values() if not each.busy]
        for connection in free:
            self.remove(connection)
        return free

    # -- touching ---------------------------------------------------------------------------

    def watch(self, connection: Connection) -> None:
        """Read the connection whenever its client says something."""
        self.loop.watch(
            connection.socket.fileno(), partial(self.with_claim, connection, self.receive)
        )

    def watch_idle(self, connection: Connection) -> None:
        """Watch a connection that was just served, if it is still here and waits for its client."""
        if self.has(connection) and connection.stage is Stage.LISTENING:
            self.watch(connection)

    def receive(self, connection: Connection) -> Request | None:
        """Read, as the first step of a touch."""
        return connection.receive(self.buffer)

    def resume(self, connection: Connection) -> Request | None:
        """Examine the bytes that came with the connection, then read: the first step of a touch."""
        request = connection.examine_spill() if connection.spill else connection.next_request()
        return request or connection.receive(self.buffer)

    def with_claim(
        self, connection: Connection, first: Callable[[Connection], Request | None]
    ) -> None:
        """
        Claim a connection, take the first step, then answer every request that is whole.

        A connection that is busy is ours whatever was recalled; any other may be somebody
        else's by now, and the claim finds out. The recall itself waits in the channel: the loop
        comes to it before anything can be read that was not read here.
        """
        if self.forked:
            invocation.exit_now(0)
        words, recalls_at = self._words, self._recalls_at
        words[self._claim_at] = connection.number + 1
        if words[recalls_at] == self._recalls or connection.busy:
            try:
                request = first(connection)
                while request is not None:
                    if words[recalls_at] != self._recalls:
                        connection.save_request()
                        break
                    if not self.answer(connection, request):
                        break
                    request = connection.next_request()
            except BaseException as error:  # noqa: BLE001 - any exception gets an answer
                recovery.resolve(self, connection, error)
        words[self._claim_at] = 0

    def response_sent(self, connection: Connection) -> bool:
        """Note that an answer is out; return True if the connection can be asked for more."""
        connection.request_done()
        if connection.after is not After.NEXT:
            if connection.after is After.LINGER or connection.has_pipelined:
                self.linger(connection)
            else:
                self.close(connection)
            return False
        if connection.has_pipelined and self.draining:
            connection.save_pipelined()  # it may be of the time after the replacement
            self.release(connection)
            return False
        if connection.has_pipelined:
            return True  # until that is begun, or kept, the scoreboard says that it was read
        # In this order: idle under a claim would mean that something was read and not answered.
        self._words[self._claim_at] = 0
        self.scoreboard.set_phase(connection.number, 1)  # Phase.IDLE, without a look-up
        if self.draining:
            self.release(connection)
            return False
        return True

    def send_error(self, connection: Connection, status: int, text: str) -> None:
        """Send an error before the whole request was read, and close the connection."""
        connection.after = After.LINGER
        try:
            if connection.answer(status, error_body(text), self.headers, keep_alive=False):
                self.linger(connection)
            else:
                self.wait_to_write(connection)
        except Disconnected:
            self.close(connection)

    def wait_to_write(self, connection: Connection) -> None:
        """Send the rest of an answer when there is room, because the client takes it slowly."""
        connection.stage = Stage.WRITING
        rest = partial(self.with_claim, connection, self._flush)
        self.loop.watch_writable(connection.socket.fileno(), rest)

    def _flush(self, connection: Connection) -> Request | None:
        if not connection.flush():
            return None
        connection.stage = Stage.LISTENING
        self.watch(connection)
        return connection.next_request() if self.response_sent(connection) else None

    def linger(self, connection: Connection) -> None:
        """End a connection, but let its client read the last answer first."""
        connection.stage = Stage.LINGERING
        connection.request_done()
        thrown_away = partial(self.with_claim, connection, self._discard)
        self.loop.watch(connection.socket.fileno(), thrown_away)
        connection.linger()
        self.scoreboard.set_lingering(connection.number, monotonic())
        if not self.scoreboard.timer_on:
            self.channel.send(StartTimer())

    def _discard(self, connection: Connection) -> None:
        connection.discard(self.buffer)

    # -- parting ----------------------------------------------------------------------------

    def remove(self, connection: Connection) -> None:
        """Forget a connection that another process holds by its duplicate."""
        del self.by_number[connection.number]
        self.loop.unwatch(connection.socket.fileno())
        connection.release()

    def release(self, connection: Connection) -> None:
        """Let the supervisor hand the connection to another process."""
        self.remove(connection)
        self.channel.send(Released([[connection.number, connection.epoch]]))
        self.exit_if_drained()

    def exit_if_drained(self) -> None:
        """End this process if it was retired and holds nothing any more."""
        if self.draining and not self.by_number:
            invocation.exit_gracefully()

    def close(self, connection: Connection) -> None:
        """End a connection."""
        connection.stage = Stage.CLOSING
        self.loop.unwatch(connection.socket.fileno())
        connection.close()
        self.by_number.pop(connection.number, None)
        if self.scoreboard.notify_close:
            self.channel.send(Closed())
        self.exit_if_drained()

    def _spill_created(self, number: int, descriptor: int) -> None:
        self.channel.send(SpillCreated(number), (descriptor,))
        self.channel.flush_all()  # the scoreboard names it next, and is believed

    def _spill_closed(self, number: int) -> None:
        self.channel.send(SpillClosed(number))

    def _await_channel(self) -> None:
        self.loop.watch_writable(self.channel.fileno(), self._flush_channel)

    def _flush_channel(self) -> None:
        self.channel.flush()
        if not self.channel.backlog:
            self.loop.watch(self.channel.fileno(), self._handle_messages)

    def _after_fork(self) -> None:
        """Close our descriptors in a child that the action forked."""
        self.forked = True
        for connection in self.by_number.values():
            connection.socket.close()
        self.channel.close()
        if isinstance(self.loop, EpollLoop):
            self.loop.close()


REPEATABLE.add(Connections.with_claim.__code__)
