"""
What the supervisor and a worker say to each other.

One message is one SEQPACKET packet: a JSON array ``[version, kind, {fields}]`` with its
descriptors beside it. A reader takes defaults for fields it does not get, leaves fields it
does not know, and refuses another version; so a worker in another language can be written
from this file alone. Descriptors are named in each message in the order they travel.

What a worker sends is checked in three steps, because its channel is in reach of the action.
`decode` checks the shape: the kinds that this sender may send, the declared type of each field,
the number of descriptors. ``check`` of the message's class checks what the values mean by
themselves. `supervisor.hearing` checks what they refer to. Each raises `ProtocolError`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, ClassVar, cast

from hotwhisk import json_codec
from hotwhisk.field_checks import HAS_TYPE, is_digest, is_process_id
from hotwhisk.record import Record

VERSION = 1
MAX_DESCRIPTORS = 253
"""Linux's limit for one message (SCM_MAX_FD)."""

HANDED_AT_ONCE = 120
"""Connections in one `Hand`; each may bring two descriptors."""

LONGEST_TEXT = 8000
"""Characters of an error text; the rest of it is in the log."""

RELEASED_AT_ONCE = 1000
"""Connections in one `Released`: what fits a packet."""


class Message(Record):
    """
    Any message. ``kind`` is its name on the wire, ``width`` the length of each row of a field
    that is a list of rows.
    """

    kind: ClassVar[str] = ""
    width: ClassVar[int] = 0

    def descriptors(self) -> int:
        """Return how many descriptors travel with it."""
        return 0

    def check(self) -> str:
        """Say what is wrong with its values; empty if nothing is."""
        return ""


# -- from the supervisor to a worker ---------------------------------------------------------


class Load(Message):
    """
    Become a worker of ``generation``. Descriptor: the body of its ``/init``.

    The body is ``length`` bytes from ``offset``. With ``path``, a file on this machine or with
    ``module`` the name of a module, it is what that held when the generation began, and is
    missing for its first worker. ``folder`` is where an archive is unpacked.
    """

    kind: ClassVar[str] = "load"
    generation: int = 0
    folder: str = ""
    offset: int = 0
    length: int = 0
    path: str = ""
    module: bool = False
    main: str = "main"
    template: bool = False

    def descriptors(self) -> int:
        """Return 1, or 0 for the first worker of something on this machine."""
        return 0 if self.path and not self.length else 1


class Hand(Message):
    """
    Serve these connections, each ``[number, tenure, spill, length]``. Descriptors: for each its
    socket, followed by its memory file if ``spill`` is not 0. ``tenure`` names this holding of
    the connection; `Released` says it again. ``duty`` tells a desk what it owes to a ``/run`` that
    comes on them: an `answers.Cause` with its ``detail``, or empty to park it.
    """

    kind: ClassVar[str] = "hand"
    width: ClassVar[int] = 4
    connections: Sequence[Sequence[int]] = ()
    duty: str = ""
    detail: str = ""

    def descriptors(self) -> int:
        """Return how many sockets and memory files there are."""
        return sum(1 + bool(spill) for _, _, spill, _ in self.connections)


class Recall(Message):
    """
    Forget every connection that is not being handled, then say `Released`.

    With ``leave``, give back the others as they are answered, and leave after the last.
    """

    kind: ClassVar[str] = "recall"
    leave: bool = False


class Answer(Message):
    """
    Answer connection ``number`` on behalf of a dead worker, then give it back, or close it if
    that is its ``last`` answer. Descriptor: its socket.

    ``sentinels`` says on which of the two output streams the end of the activation is still owed
    (1 stdout, 2 stderr), ``generation`` what the header of that name says.
    """

    kind: ClassVar[str] = "answer"
    number: int = 0
    tenure: int = 0
    status: int = 502
    text: str = ""
    last: bool = True
    sentinels: int = 0
    generation: str = ""

    def descriptors(self) -> int:
        """Return 1: the socket."""
        return 1


class Mark(Message):
    """
    A version died while it was loading: say ``text`` on stderr, write the sentinels of what would
    have been its activation, then say `Marked`.
    """

    kind: ClassVar[str] = "mark"
    text: str = ""


class Stop(Message):
    """The server leaves: answer what is there, close each connection after its answer."""

    kind: ClassVar[str] = "stop"


class Ping(Message):
    """Say `Pong`: how the supervisor finds an event loop that an action blocks."""

    kind: ClassVar[str] = "ping"


class Discard(Message):
    """Remove the folder of a generation that is not served any more; 0 is what a server left here."""

    kind: ClassVar[str] = "discard"
    generation: int = 0
    folder: str = ""


# -- from the supervisor to a template, and its answer ---------------------------------------


class Spawn(Message):
    """
    Fork a worker for ``slot``, recalled ``recalls`` times before, which ``ps`` shows as ``name``.
    Descriptor: its end of its control channel. It says `Ready` or `Failed` as after a `Load`.
    """

    kind: ClassVar[str] = "spawn"
    slot: int = 0
    recalls: int = 0
    name: str = ""

    def descriptors(self) -> int:
        """Return 1: the worker's end of its channel."""
        return 1


class Born(Message):
    """The process id of the worker for ``slot``; 0 if the system had no process to give."""

    kind: ClassVar[str] = "born"
    slot: int = 0
    pid: int = 0

    def check(self) -> str:
        """Refuse the numbers that mean groups of processes, and process 1."""
        good = not self.pid or is_process_id(self.pid)
        return "" if good else f"no process has the id {self.pid}"


# -- from a worker to the supervisor ---------------------------------------------------------


class Template(Message):
    """
    The worker, which is loading, left template ``pid`` behind. Descriptors: the supervisor's end
    of its control channel, and its pidfd. With ``obstacle``: none, for that reason.
    """

    kind: ClassVar[str] = "template"
    pid: int = 0
    obstacle: str = ""

    def descriptors(self) -> int:
        """Return 2, the channel and the pidfd; 0 if there is no template."""
        return 0 if self.obstacle else 2

    def check(self) -> str:
        """Refuse a template without a process id, for which `os.killpg` would kill the server."""
        good = self.obstacle or is_process_id(self.pid)
        return "" if good else f"no process has the id {self.pid}"


class Ready(Message):
    """
    The action is loaded. ``overlap`` says that it takes more than one request at a time. What
    was read of a local file is in memory file ``spill``, for the workers to come.
    """

    kind: ClassVar[str] = "ready"
    digest: str = ""
    overlap: bool = False
    spill: int = 0
    length: int = 0

    def check(self) -> str:
        """Refuse a digest that is none: it goes into a header of each answer."""
        if not is_digest(self.digest):
            return f"the digest {self.digest!r:.80} is not sha256: and 64 hexadecimal digits"
        return "" if self.spill or not self.length else "there is a length, and no memory file"


class Failed(Message):
    """The action could not be loaded; the HTTP status and text of the answer to its ``/init``."""

    kind: ClassVar[str] = "failed"
    status: int = 502
    text: str = ""

    def check(self) -> str:
        """Refuse a status that would tell the sender of the ``/init`` that it succeeded."""
        return "" if 400 <= self.status <= 599 else f"{self.status} is no status of a failure"


class Deposit(Message):
    """Memory file ``spill`` is the worker's, who made it or is given it. Descriptor: the file."""

    kind: ClassVar[str] = "deposit"
    spill: int = 0

    def descriptors(self) -> int:
        """Return 1: the file."""
        return 1


class Drop(Message):
    """Memory file ``spill`` is not needed any more."""

    kind: ClassVar[str] = "drop"
    spill: int = 0


class Posted(Message):
    """
    Connection ``number`` sent an ``/init``, whose body is in memory file ``spill``.

    The worker has forgotten the connection; its answer is the supervisor's, and the ``last`` one
    if the client said so.
    """

    kind: ClassVar[str] = "posted"
    number: int = 0
    spill: int = 0
    offset: int = 0
    length: int = 0
    last: bool = False


class Released(Message):
    """
    The worker has forgotten these connections, each ``[number, tenure]``; ``recalled`` if because
    it was told to.
    """

    kind: ClassVar[str] = "released"
    width: ClassVar[int] = 2
    connections: Sequence[Sequence[int]] = ()
    recalled: bool = False


class Discarded(Message):
    """The folder of ``generation`` is gone; or there is a ``rest`` that needs another `Discard`."""

    kind: ClassVar[str] = "discarded"
    generation: int = 0
    rest: bool = False


class Marked(Message):
    """`Mark` is done."""

    kind: ClassVar[str] = "marked"


class Busy(Message):
    """A run starts and the ledger says that nobody looks at the clock."""

    kind: ClassVar[str] = "busy"


class Closed(Message):
    """A connection was closed while the server is full or leaves, so look into the ledger now."""

    kind: ClassVar[str] = "closed"


class Pong(Message):
    """The answer to `Ping`."""

    kind: ClassVar[str] = "pong"


KINDS: dict[str, type[Message]] = {
    each.kind: each
    for each in (
        Load, Hand, Recall, Answer, Mark, Stop, Ping, Discard,
        Discarded, Spawn, Born, Template,
        Ready, Failed, Deposit, Drop, Posted, Released, Marked, Busy, Closed, Pong,
    )
}  # fmt: skip


FROM_WORKER: Collection[type[Message]] = frozenset(
    {
        Template, Ready, Failed, Deposit, Drop, Posted, Released, Discarded, Marked, Busy,
        Closed, Pong,
    }
)  # fmt: skip
"""What a worker may send."""

FROM_TEMPLATE: Collection[type[Message]] = frozenset({Born})
"""What a template may send."""


class ProtocolError(ValueError):
    """A packet that its sender may not send; the text says why."""


def encode(message: Message) -> bytes:
    """A message as the bytes of its packet."""
    return json_codec.dumps_short([VERSION, message.kind, vars(message)])


def decode(
    packet: bytes, expected: Collection[type[Message]] | None = None, descriptors: int = 0
) -> Message:
    """
    Return the message in a packet. With ``expected`` its sender is not trusted: it may send only
    these kinds, with values of the declared types and meanings, and with as many descriptors as
    the message has.

    Raises:
        ProtocolError: the packet holds no such message.
    """
    try:
        version, kind, values = cast("tuple[int, str, dict[str, Any]]", json_codec.loads(packet))
        known = KINDS[kind].fields
        values = {name: value for name, value in values.items() if name in known}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"not a message of version {VERSION}: {packet[:80]!r}") from error
    if version != VERSION:
        raise ProtocolError(f"message version {str(version)[:80]}, expected {VERSION}")
    message = KINDS[kind].of(values)
    if expected is not None:
        wrong = _check(message, expected, descriptors)
        if wrong:
            raise ProtocolError(f"{kind}: {wrong}: {packet[:200]!r}")
    return message


def _check(message: Message, expected: Collection[type[Message]], descriptors: int) -> str:
    """Say what is wrong with a message; empty if nothing is."""
    if type(message) not in expected:
        return "not for this sender to send"
    width = message.width
    for name, value in vars(message).items():
        declared = message.__annotations__[name]
        if not HAS_TYPE[declared](value, width):
            return f"the field {name} is not of type {declared} with values up to 2^64 - 1"
    if descriptors != message.descriptors():
        return f"it came with {descriptors} descriptors, expected {message.descriptors()}"
    return message.check()
