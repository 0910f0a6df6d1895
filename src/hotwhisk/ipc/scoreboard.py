"""
The table in shared memory that says, for each connection, how far its request has come.

It is one anonymous mapping, made before the first fork, so it outlives every worker. Each field has
one writer at a time, and a write is one store, so a reader never sees half of it. When a worker was
killed, this table is all that is known of its requests.

    header        does the supervisor's timer run; is each close reported; states of the streams
    worker slots  recalls (supervisor): how often its connections were recalled
                  claim (worker): the connection that it uses now, plus one; 0 for none
    phases        one byte a connection, side by side, so that memchr finds the closed ones
    counters      a page for each worker slot: see `hotwhisk.ipc.counters`
    rows          64 bytes a connection: see `Row`

The action can write to this table. So a reader trusts no value: it brings each one within its
bounds when it reads it. The supervisor also keeps in its own memory what it alone writes
(``recalls``, and whether its timer runs), and never reads that back from the table.

The claim (a hazard pointer) lets the supervisor recall connections without a wait. A worker claims
a connection, reads ``recalls``, and only then uses the connection. The supervisor raises
``recalls``, makes a memory barrier (see `System.barrier`), and reads the claim. From then on every
idle connection but the claimed one is the supervisor's, even if the worker hangs in its handler for
a minute.
"""

from __future__ import annotations

import mmap
import struct
from array import array
from enum import IntEnum

from hotwhisk.ipc.counter_blocks import BLOCK_SIZE, CounterBlocks
from hotwhisk.record import Record
from hotwhisk.system.output import STATE_SIZE, STREAMS, StreamState

WORKERS = 512
"""Worker slots: how many processes can run at one time."""

_HEADER = 64
_STREAMS_AT = 8
_SLOT_SIZE = 8  # recalls, claim
_RECALLS, _CLAIM = _HEADER // 4, _HEADER // 4 + 1  # where the first slot's are in `words`
_ROW_SIZE = 64
_ROW = struct.Struct("@ddQQQQBB")  # since, budget, sent, answer, spill, spilled, close_after, ended
# Where the fields are, in words of eight bytes: doubles, then longs; then two single bytes.
FIELDS = _ROW_SIZE // 8
_SINCE, _BUDGET, SENT, ANSWER, _SPILL, _SPILLED, _, COUNT_MARK = range(8)
_CLOSE_AT, _ENDED_AT = 48, 49


class Phase(IntEnum):
    """The state of a connection. It decides what is done when the connection's worker exits."""

    FREE = 0
    """No connection."""
    IDLE = 1
    """No request, and no byte read. The connection can move to another worker."""
    BUFFERED = 2
    """Half a request is in its spill file. The connection can move with it."""
    PARKED = 3
    """A whole ``/run`` is in its spill file. The connection can move with it to a worker."""
    RUNNING = 4
    """The action has the request, and has not answered."""
    RESPONDING = 5
    """The answer is being sent. The kernel knows how much of it was sent."""
    LINGERING = 6
    """The last answer was sent. What the client still sends is discarded."""
    INIT_PENDING = 7
    """The supervisor has the ``/init`` of the connection, and will answer it."""
    CLOSED = 8
    """The worker has closed the connection. The supervisor may forget it."""
    STREAMING = 9
    """The action has the request, and answers in parts. The kernel knows how much was sent."""


class CloseAfter(IntEnum):
    """Why a connection is closed after its answer if a spare sends that in the worker's place."""

    NO = 0
    REQUESTED = 1
    """The client wants it closed."""
    READ_AHEAD = 2
    """Its worker has read bytes of a later request, which are lost if the worker exits."""


# The phase of each byte of the table. FREE is the most careful reading of an unknown byte.
_PHASE_OF = [Phase(byte) if byte < len(Phase) else Phase.FREE for byte in range(256)]
_CLOSE_OF = [CloseAfter(min(byte, CloseAfter.READ_AHEAD)) for byte in range(256)]
_BOTH_STREAMS = 3

MOST_BYTES = 1 << 62
"""The largest count of bytes that a reader accepts. A field can hold the sum of two of them."""

LATEST, FOREVER = float(1 << 62), float("inf")
"""The latest time, and the longest budget, that a reader accepts."""

MOVABLE = frozenset({Phase.IDLE, Phase.BUFFERED, Phase.PARKED})
RUNS = (Phase.RUNNING, Phase.STREAMING)  # the action has the request
IN_FLIGHT = frozenset({*RUNS, Phase.RESPONDING})


class Row(Record):
    """
    What the scoreboard knows of a connection besides its phase.

    ``since`` is in seconds of the monotonic clock, ``budget`` in seconds (infinite for none).
    ``sent`` counts the bytes written before the current answer, which has ``answer`` bytes.
    ``spill`` is the number of the memory file with bytes that were read and not answered, 0 for
    none, and ``spilled`` how many. ``close_after`` says why the connection is closed after this
    answer. ``ended`` says on which streams its activation has its sentinel.
    """

    since: float
    budget: float
    sent: int
    answer: int
    spill: int
    spilled: int
    close_after: CloseAfter
    ended: int


class Scoreboard:
    """The table, for ``capacity`` connections."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._phases = _HEADER + WORKERS * _SLOT_SIZE
        counters = (self._phases + capacity + mmap.PAGESIZE - 1) & -mmap.PAGESIZE
        self._rows = counters + WORKERS * BLOCK_SIZE
        self._map = mmap.mmap(-1, self._rows + capacity * _ROW_SIZE)
        self.counters = CounterBlocks(self._map, counters)
        self.phases = memoryview(self._map)[self._phases : self._phases + capacity]
        """The phases, one byte each; see `set_phase`."""
        self.words = memoryview(self._map)[: self._phases].cast("I")
        """The header and the slots as 32-bit words; see `recall_word` and `claim_word`."""
        self._recalls = array("I", bytes(4 * WORKERS))
        self.timer_on_here = False
        """Whether the supervisor's timer runs, in the supervisor's own memory."""
        # Written through typed views: an assignment is one store, where `struct.pack_into` clears
        # the whole span before it fills it.
        rows = memoryview(self._map)[self._rows :]
        self._doubles, self.longs = rows.cast("d"), rows.cast("Q")
        at = _STREAMS_AT - STATE_SIZE
        self.streams = {
            number: StreamState(memoryview(self._map)[at + number * STATE_SIZE :][:STATE_SIZE])
            for number in STREAMS
        }
        """The state of each output stream, by the stream's number."""
        for state in self.streams.values():
            state.begin()

    # -- the timer --------------------------------------------------------------------------

    @property
    def timer_on(self) -> bool:
        """Return whether the supervisor's timer runs. If not, a run starts with `StartTimer`."""
        return self._map[0] != 0

    @timer_on.setter
    def timer_on(self, on: bool) -> None:
        self.timer_on_here = on
        self._map[0] = on

    @property
    def notify_close(self) -> bool:
        """Return whether the supervisor wants a message at once for each closed connection."""
        return self._map[1] != 0

    @notify_close.setter
    def notify_close(self, on: bool) -> None:
        self._map[1] = on

    # -- worker slots -----------------------------------------------------------------------

    @staticmethod
    def recall_word(slot: int) -> int:
        """Return where a worker reads its recalls in ``words``: often, and so without a call."""
        return _RECALLS + 2 * slot

    @staticmethod
    def claim_word(slot: int) -> int:
        """Return the index in ``words`` of a worker's claim: a connection's number, plus one."""
        return _CLAIM + 2 * slot

    def recalls(self, slot: int) -> int:
        """Return how often the connections of the worker in ``slot`` were recalled."""
        return self._recalls[slot]

    def raise_recalls(self, slot: int) -> None:
        """Recall all connections of a worker but those that are claimed or in use at a barrier."""
        self._recalls[slot] = (self._recalls[slot] + 1) & 0xFFFFFFFF
        self.words[_RECALLS + 2 * slot] = self._recalls[slot]

    def rewrite_recalls(self, slot: int) -> None:
        """Write a worker's recalls again, because another worker may have overwritten them."""
        self.words[_RECALLS + 2 * slot] = self._recalls[slot]

    def unclaim(self, slot: int) -> None:
        """Record that the worker in ``slot`` uses no connection."""
        self.words[_CLAIM + 2 * slot] = 0

    def claimed(self, slot: int) -> int:
        """Return the connection that the worker in ``slot`` uses; -1 for none."""
        return self.words[_CLAIM + 2 * slot] - 1

    # -- connections ------------------------------------------------------------------------

    def phase(self, number: int) -> Phase:
        """Return the phase of connection ``number``; FREE if the table holds no valid phase."""
        return _PHASE_OF[self._map[self._phases + number]]

    def set_phase(self, number: int, phase: int) -> None:
        """Record the phase of connection ``number``."""
        self._map[self._phases + number] = phase

    def begin_connection(self, number: int) -> None:
        """Begin connection ``number``: idle, with nothing sent and no spill file."""
        at = self._rows + number * _ROW_SIZE
        self._map[at : at + _ROW_SIZE] = bytes(_ROW_SIZE)
        self._map[self._phases + number] = Phase.IDLE

    def row(self, number: int) -> Row:
        """Return the details of connection ``number``, each within its bounds."""
        *values, close_after, ended = _ROW.unpack_from(self._map, self._rows + number * _ROW_SIZE)
        since, budget, sent, answer, spill, spilled = values
        return Row(
            since if 0.0 <= since <= LATEST else 0.0,  # this excludes NaN too
            budget if 0.0 <= budget <= FOREVER else 0.0,
            min(sent, MOST_BYTES),
            min(answer, MOST_BYTES),
            spill,
            spilled,
            _CLOSE_OF[close_after],
            ended & _BOTH_STREAMS,
        )

    def spill(self, number: int) -> tuple[int, int]:
        """Return the memory file with a connection's unread bytes, 0 for none; and their count."""
        at = number * FIELDS
        return self.longs[at + _SPILL], self.longs[at + _SPILLED]

    def sent(self, number: int) -> int:
        """Return how many bytes were written to connection ``number`` in all its answers so far."""
        at = number * FIELDS
        return min(self.longs[at + SENT], MOST_BYTES) + min(self.longs[at + ANSWER], MOST_BYTES)

    def set_running(self, number: int, since: float, budget: float, sent: int) -> None:
        """Record that the request on connection ``number`` goes to the action."""
        at = number * FIELDS
        self._doubles[at] = since
        self._doubles[at + _BUDGET] = budget
        self.longs[at + COUNT_MARK] = 0  # before `SENT`: it belongs to the answer before
        self.longs[at + SENT] = sent
        self.longs[at + ANSWER] = 0
        self._map[self._phases + number] = 4  # Phase.RUNNING, without an attribute look-up

    def set_sent(self, number: int, sent: int) -> None:
        """Record that ``sent`` bytes of complete answers were written to connection ``number``."""
        self.longs[number * FIELDS + ANSWER] = 0
        self.longs[number * FIELDS + SENT] = sent

    def set_responding(self, number: int, sent: int, length: int) -> None:
        """Record that an answer of ``length`` bytes follows ``sent`` bytes of earlier answers."""
        self.longs[number * FIELDS + SENT] = sent
        self.longs[number * FIELDS + ANSWER] = length
        self._map[self._phases + number] = 5  # Phase.RESPONDING

    def count_mark(self, number: int) -> int:
        """Return where the answer to the current request is counted; see `WorkerCounters`."""
        return self.longs[number * FIELDS + COUNT_MARK]

    def set_lingering(self, number: int, since: float) -> None:
        """Record that connection ``number`` has its last answer; the client shall close it."""
        self._doubles[number * FIELDS + _SINCE] = since
        self._map[self._phases + number] = Phase.LINGERING

    def set_close(self, number: int, close_after: CloseAfter) -> None:
        """Record why the connection is closed after its current answer."""
        self._map[self._rows + number * _ROW_SIZE + _CLOSE_AT] = close_after

    def set_sentinels(self, number: int, streams: int) -> None:
        """Record on which output streams the activation has ended: 1 stdout, 2 stderr."""
        self._map[self._rows + number * _ROW_SIZE + _ENDED_AT] = streams

    def set_spill(self, number: int, spill: int, length: int) -> None:
        """Record the memory file and the count of the unread bytes of connection ``number``."""
        self.longs[number * FIELDS + _SPILLED] = length
        self.longs[number * FIELDS + _SPILL] = spill

    def in_phase(self, phase: Phase) -> list[int]:
        """Return the connections that are in ``phase``."""
        found = []
        at, end = self._phases, self._phases + self.capacity
        wanted = bytes([phase])
        while (at := self._map.find(wanted, at, end)) >= 0:
            found.append(at - self._phases)
            at += 1
        return found
