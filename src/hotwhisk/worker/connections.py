"""
The connections of one worker: read, answer and release them, each step under a claim.

The supervisor decides which connections a worker may touch. The worker keeps the promises by the
order of its steps (`hotwhisk.ipc.scoreboard` explains the claim):

    claim a connection → check for a recall → read → check for a recall → call → write → unclaim

The second check is for promise 3, "no stale answer". If a replacement was answered before the bytes
were read, the bytes belong to the new generation, so this worker releases them unanswered. A check
is one load from shared memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from os import getpid
from time import monotonic

from hotwhisk.ipc.messages import Closed, Released, SpillClosed, SpillCreated, StartTimer
from hotwhisk.ipc.scoreboard import Scoreboard
from hotwhisk.ipc.worker_counters import WorkerCounters
from hotwhisk.openwhisk.bodies import error_body
from hotwhisk.record import Record
from hotwhisk.worker import repair
from hotwhisk.worker.connection import After, Connection, Stage
from hotwhisk.worker.event_loop import INTERRUPTIBLE, EpollLoop
from hotwhisk.worker.own_process import Streams, exit_gracefully, exit_now
from hotwhisk.worker.socket_errors import Disconnected
from hotwhisk.worker.spill import Spills

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.http1.http1 import Request
    from hotwhisk.ipc.channel import Channel
    from hotwhisk.system.loop_protocol import Loop
    from hotwhisk.worker.answerer import Answerer

READ_SIZE = 65536

_BUFFER = memoryview(bytearray(READ_SIZE))
"""Scratch space for one read. It is made before the fork, so an idle worker has no copy of it."""


class Place(Record):
    """Says which slot of the scoreboard a worker has, and how often it was recalled before."""

    slot: int
    recalls: int
    lowest: int
    """The lowest number of a descriptor that the server opens in the worker."""


class Connections:
    """
    Holds the connections of one worker process.

    ``answerer`` answers the requests that come on them. ``handle_messages`` acts on the messages
    that wait in the channel.
    """

    def __init__(
        self,
        channel: Channel,
        scoreboard: Scoreboard,
        place: Place,
        answerer: Answerer,
        handle_messages: Callable[[], None],
    ) -> None:
        self.scoreboard = scoreboard
        self.headers = b""
        """Header lines of every response: they say which generation gave it."""
        self.draining = False
        self.on_answer_sent: Callable[[int], None] = lambda _: None  # also if it was closed before
        self.exit: Callable[[], None] = exit_gracefully
        """Ends this process, as a rule, when it is draining and has no connection left."""
        self.streams = Streams(place.lowest, scoreboard.streams)
        self.counters = WorkerCounters(scoreboard, place.slot)
        self.answerer = answerer
        self._handle_messages = handle_messages
        self._words = scoreboard.words
        self.buffer = _BUFFER
        self.reset(channel, place)

    def reset(self, channel: Channel, place: Place) -> None:
        """Begin without connections: in a new worker, and in one that a template has forked."""
        self.channel = channel
        self.place = place
        self.counters.begin(place.slot)
        self.loop: Loop = EpollLoop(place.lowest)
        self.by_number: dict[int, Connection] = {}
        self.pid = getpid()
        self.forked = False
        """Whether this process is a fork that the action made, and that still runs our loop."""
        self._recalls = place.recalls
        self._recalls_at = self.scoreboard.recall_word(place.slot)
        self._claim_at = self.scoreboard.claim_word(place.slot)
        first = (place.slot << 48) + (self.pid << 24) + 1
        self.spills = Spills(
            first,
            self._spill_created,
            lambda number: channel.send(SpillClosed(number)),
            self.streams.reopen_closed,
        )
        self.loop.watch(channel.fileno(), self._handle_messages)
        channel.on_backlog = lambda: self.loop.watch_writable(channel.fileno(), self._flush_channel)

    def add(self, number: int, descriptor: int, epoch: int, run_error: str = "") -> Connection:
        """Add a connection that the supervisor has assigned; take over its descriptor."""
        connection = Connection(
            number, descriptor, self.scoreboard, self.counters, self.spills, run_error
        )
        connection.epoch = epoch
        self.by_number[number] = connection
        return connection

    def has(self, connection: Connection) -> bool:
        """Return whether this worker still has the connection: it may be closed or released."""
        return self.by_number.get(connection.number) is connection

    def follow_recall(self) -> list[Connection]:
        """Count a recall, and remove the connections that do not stay; return the removed ones."""
        self._recalls = (self._recalls + 1) & 0xFFFFFFFF
        free = [each for each in self.by_number.values() if not each.stays_at_recall]
        for connection in free:
            self.remove(connection)
        return free

    # -- touching ---------------------------------------------------------------------------

    def watch(self, connection: Connection) -> None:
        """Read the connection whenever its client sends something or closes it."""
        self.loop.watch(
            connection.socket.fileno(), partial(self.with_claim, connection, self.receive)
        )

    def watch_idle(self, connection: Connection) -> None:
        """Watch a connection again after a response, if it waits for a request in this worker."""
        if self.has(connection) and connection.stage is Stage.LISTENING:
            self.watch(connection)

    def receive(self, connection: Connection) -> Request | None:
        """Read what has arrived. This is a first step for `with_claim`."""
        return connection.receive(self.buffer)

    def resume(self, connection: Connection) -> Request | None:
        """Parse bytes that were read before, then read: a first step for `with_claim`."""
        request = connection.examine_spill() if connection.spill else connection.next_request()
        return request or connection.receive(self.buffer)

    def with_claim(
        self, connection: Connection, first: Callable[[Connection], Request | None]
    ) -> None:
        """
        Claim a connection, call ``first``, then answer every whole request.

        A recall does not take a connection from this worker that `Connection.stays_at_recall`. Any
        other one may belong to another worker by now, so the claim comes first and then the check
        for a recall. The message about the recall waits in the channel. The loop handles it before
        it reads anything that was not read here.
        """
        if self.forked:
            exit_now(0)
        words, recalls_at = self._words, self._recalls_at
        words[self._claim_at] = connection.number + 1
        if words[recalls_at] == self._recalls or connection.stays_at_recall:
            try:
                request = first(connection)
                while request is not None:
                    if words[recalls_at] != self._recalls:
                        connection.save_request()
                        break
                    if not self.answerer.answer(connection, request):
                        break
                    request = connection.next_request()
            except BaseException as error:  # noqa: BLE001 - any exception gets an answer
                repair.handle_error(self, connection, error)
        words[self._claim_at] = 0

    def response_sent(self, connection: Connection) -> bool:
        """Free the bytes of an answered request; return whether the next one can be read."""
        connection.request_done()
        pipelined = connection.pipelined
        if connection.after is not After.NEXT:
            if connection.after is After.LINGER or pipelined:
                self.linger(connection)
            else:
                self.close(connection)
            return False
        if pipelined and self.draining:
            connection.save_pipelined()  # it may have been sent after the replacement
            self.release(connection)
            return False
        if pipelined:
            return True  # the phase stays: it says that bytes were read and are not saved yet
        # In this order: IDLE under a claim would mean that bytes were read and not answered.
        self._words[self._claim_at] = 0
        self.scoreboard.set_phase(connection.number, 1)  # Phase.IDLE, without a look-up
        if self.draining:
            self.release(connection)
            return False
        return True

    def send_error(self, connection: Connection, status: int, text: str) -> None:
        """Send an error response before the whole request was read, then close the connection."""
        connection.after = After.LINGER
        try:
            if connection.answer(status, error_body(text), self.headers, keep_alive=False):
                self.linger(connection)
            else:
                self.wait_to_write(connection)
        except Disconnected:
            self.close(connection)

    def wait_to_write(self, connection: Connection) -> None:
        """Send the rest of a response when the client has made room for it."""
        connection.stage = Stage.WRITING
        rest = partial(self.with_claim, connection, self._flush)
        self.loop.watch_writable(connection.socket.fileno(), rest)

    def _flush(self, connection: Connection) -> Request | None:
        if not connection.flush():
            return None
        self.on_answer_sent(connection.number)
        connection.stage = Stage.LISTENING
        self.watch(connection)
        return connection.next_request() if self.response_sent(connection) else None

    def linger(self, connection: Connection) -> None:
        """
        Stop sending, and discard what the client still sends until it closes the connection.

        A close at once could reset the connection before the client has read the last response.
        """
        connection.stage = Stage.LINGERING
        connection.request_done()
        discard = partial(self.with_claim, connection, self._discard)
        self.loop.watch(connection.socket.fileno(), discard)
        connection.linger()
        self.scoreboard.set_lingering(connection.number, monotonic())
        if not self.scoreboard.timer_on:
            self.channel.send(StartTimer())

    def _discard(self, connection: Connection) -> None:
        connection.discard(self.buffer)

    # -- removing ---------------------------------------------------------------------------

    def remove(self, connection: Connection) -> None:
        """Close this worker's duplicate of a connection; the supervisor keeps the connection."""
        del self.by_number[connection.number]
        self.loop.unwatch(connection.socket.fileno())
        connection.close_duplicate()

    def release(self, connection: Connection) -> None:
        """Remove a connection, and tell the supervisor that it can assign it to another worker."""
        self.remove(connection)
        self.channel.send(Released([[connection.number, connection.epoch]]))
        self.exit_if_drained()

    def exit_if_drained(self) -> None:
        """Call `exit` if this process is draining and has no connection left."""
        if self.draining and not self.by_number:
            self.exit()

    def close(self, connection: Connection) -> None:
        """Close a connection for all processes."""
        connection.stage = Stage.CLOSING
        self.on_answer_sent(connection.number)
        self.loop.unwatch(connection.socket.fileno())
        connection.close()
        self.by_number.pop(connection.number, None)
        if self.scoreboard.notify_close:
            self.channel.send(Closed())
        self.exit_if_drained()

    def _spill_created(self, number: int, descriptor: int) -> None:
        self.channel.send(SpillCreated(number), (descriptor,))
        self.channel.flush_all()  # the scoreboard names the file next: the supervisor must know it

    def _flush_channel(self) -> None:
        self.channel.flush()
        if not self.channel.backlog:
            self.loop.watch(self.channel.fileno(), self._handle_messages)

    def after_fork(self) -> None:
        """Close our descriptors in a process that the action forked."""
        self.forked = True
        for connection in self.by_number.values():
            connection.socket.close()
        self.channel.close()
        if isinstance(self.loop, EpollLoop):
            self.loop.close()


INTERRUPTIBLE.add(Connections.with_claim.__code__)
