"""
The messages between the supervisor and a worker.

`packets` has their form on the wire. Each message names its descriptors in the order in which they
travel.

A worker's messages are checked in three steps, because the action can write to its channel.
`packets.decode` checks the shape: the kinds that this sender may send, the declared type of each
field, and the number of descriptors. ``check`` of the message's class checks each value by itself.
`supervisor.receiver` checks the things that the values refer to. Each step raises `ProtocolError`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


MAX_DESCRIPTORS = 253
"""Linux's limit for one message (SCM_MAX_FD)."""

ASSIGNED_AT_ONCE = 120
"""Most connections in one `Assign`; each may bring two descriptors."""

LONGEST_TEXT = 8000
"""Most characters of an error text. The log has the rest."""

LONGEST_DIFFERENCE = 800
"""Most characters of a text that says how two answers differ."""

RELEASED_AT_ONCE = 1000
"""Most connections in one `Released` or `RunBegun`, so that it fits a packet."""

PROCESS_IDS = range(2, 2**31)
"""The ids that one process other than process 1 can have; 0 and -1 mean groups of processes."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TOKEN = re.compile(r"[0-9a-f]{16}")


class Message(Record):
    """
    A message. ``kind`` is its name on the wire: `SpillCreated` is ``spill_created``. ``width`` is
    the length of each row of a field that is a list of rows. ``descriptor_count`` is how many
    descriptors travel with every message of the class.
    """

    kind: ClassVar[str] = ""
    width: ClassVar[int] = 0
    descriptor_count: ClassVar[int] = 0

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.kind = re.sub(r"\B(?=[A-Z])", "_", cls.__name__).lower()

    def descriptors(self) -> int:
        """Return how many descriptors travel with this message."""
        return self.descriptor_count

    def check(self) -> str:
        """Say what is wrong with the values of the message; return an empty text if nothing is."""
        return ""


# -- from the supervisor to a worker ---------------------------------------------------------


class Load(Message):
    """
    Become a worker of ``generation``. Descriptor: the body of its ``/init``. The body is ``length``
    bytes from ``offset``. If ``path`` is a file on this machine, or ``module`` the name of a
    module, the descriptor has the sources as they were when the generation began; the first worker
    gets no descriptor and reads them. ``main`` names the handler. ``folder`` is where an archive is
    unpacked. With ``template``, the worker may leave a template. If the worker is a ``further`` one
    of its generation, its failure ends no activation. With ``stored``, the content is in that file
    of the state folder; the worker reads it and sends it in `Ready`, for later workers.
    """

    generation: int = 0
    folder: str = ""
    offset: int = 0
    length: int = 0
    path: str = ""
    module: bool = False
    main: str = "main"
    template: bool = False
    further: bool = False
    stored: str = ""

    def descriptors(self) -> int:
        """Return 1 for the descriptor; 0 for the first worker of an artifact on this machine."""
        return 0 if (self.path or self.stored) and not self.length else 1


class Assign(Message):
    """
    Serve these connections, each ``[number, epoch, spill, length]``.

    Descriptors: for each connection its socket, followed by its memory file if ``spill`` is not 0.
    ``epoch`` names this assignment of the connection; `Released` repeats it. ``run_error`` tells a
    spare how to treat a ``/run`` that comes on these connections. It is an `answers.Cause` with its
    ``detail``; if it is empty, the spare parks the ``/run``. ``has_version`` says whether a version
    is current, for a spare that is asked whether the server is ready.
    """

    width: ClassVar[int] = 4
    connections: Sequence[Sequence[int]] = ()
    run_error: str = ""
    detail: str = ""
    has_version: bool = False

    def descriptors(self) -> int:
        """Return how many sockets and memory files there are."""
        return sum(1 + bool(spill) for _, _, spill, _ in self.connections)


class Recall(Message):
    """
    Release every connection without a running request, then send `Released`. With ``drain``,
    release the others as they are answered, and exit after the last; with ``keep`` too, wait then.
    """

    drain: bool = False
    keep: bool = False


class Restore(Message):
    """Serve again after a `Recall` with ``keep``, as a worker of another generation."""

    generation: int = 0
    digest: str = ""


class SendError(Message):
    """
    Answer connection ``number``, which no worker can answer, then release it. Descriptor: its
    socket. If this is the ``last`` answer, close the connection instead. ``sentinels`` says on
    which of the two output streams the end of the activation is still missing (1 stdout, 2
    stderr). ``generation`` is the value of the header of that name.
    """

    descriptor_count: ClassVar[int] = 1
    number: int = 0
    epoch: int = 0
    status: int = 502
    text: str = ""
    last: bool = True
    sentinels: int = 0
    generation: str = ""


class EndLog(Message):
    """
    End the log of a version whose worker exited while it was loading. Write ``text`` to stderr and
    the sentinels of the activation to both streams, then send `LogEnded`.
    """

    text: str = ""


class Stop(Message):
    """Answer the requests that have arrived, and close each connection after its answer."""


class SetTokens(Message):
    """
    Check requests by these tokens from now on; they are digests in hexadecimal. See
    `config.tokens.Tokens`. It is the first message to each worker that a template forks.
    """

    call: str = ""
    replace: str = ""


class BeginTrial(Message):
    """
    Run copies of requests, and report with `Compared` how each answer compares. Descriptors: where
    the copies arrive, then a pipe each for stdout and stderr meanwhile, if the output is ``piped``.
    """

    piped: bool = False

    def descriptors(self) -> int:
        """Return 3 with the pipes, else 1."""
        return 3 if self.piped else 1


class OfferCopies(Message):
    """
    Send a copy of each request that was answered to a version on trial, when that has read the copy
    before. Descriptor: a SEQPACKET socket for the copies; see `hotwhisk.worker.copies`.
    """

    descriptor_count: ClassVar[int] = 1


class EndTrial(Message):
    """Finish the copy that runs, take no more, and send `TrialEnded`."""


class Ping(Message):
    """Answer with `Pong`. If no answer comes, the supervisor assumes a blocked event loop."""


class RemoveFolder(Message):
    """
    Remove the folder of a generation that is not served; 0: the files of an earlier server. The
    answer is `FolderRemoved`.
    """

    generation: int = 0
    folder: str = ""


# -- from the supervisor to a template, and its answer ---------------------------------------


class Spawn(Message):
    """
    Fork a worker for ``slot``, whose name in ``ps`` is ``name``. Descriptor: its end of its control
    channel. ``recalls`` is the value of that field of the scoreboard. The worker sends `Ready` or
    `Failed`, as after a `Load`.
    """

    descriptor_count: ClassVar[int] = 1
    slot: int = 0
    recalls: int = 0
    name: str = ""


class Spawned(Message):
    """The process id of the worker for ``slot``; 0 if the system could not make a process."""

    slot: int = 0
    pid: int = 0

    def check(self) -> str:
        """Refuse process 1, and the numbers that mean groups of processes."""
        good = not self.pid or self.pid in PROCESS_IDS
        return "" if good else f"no process has the id {self.pid}"


# -- from a worker to the supervisor ---------------------------------------------------------


class TemplateReady(Message):
    """
    The worker, which is loading, has forked template ``pid``. Descriptors: the supervisor's end of
    its control channel, and its pidfd. If ``reason`` is set, no template was forked and no
    descriptors follow.
    """

    pid: int = 0
    reason: str = ""

    def descriptors(self) -> int:
        """Return 2 for the channel and the pidfd; 0 if there is no template."""
        return 0 if self.reason else 2

    def check(self) -> str:
        """Refuse a template without a process id: `os.killpg` would then kill the server."""
        good = self.reason or self.pid in PROCESS_IDS
        return "" if good else f"no process has the id {self.pid}"


class Ready(Message):
    """
    The action is loaded. ``overlap`` says that it takes more than one request at a time. Memory
    file ``spill`` has the sources that were read on this machine, for later workers. The ``/init``
    asked for a trial with at most so many ``copies``, for so many ``seconds``; 0 for no trial.
    """

    digest: str = ""
    overlap: bool = False
    spill: int = 0
    length: int = 0
    copies: int = 0
    seconds: int = 0

    def check(self) -> str:
        """Refuse a text that is not a digest, because it goes into a header of each answer."""
        if not _DIGEST.fullmatch(self.digest):
            return f"the digest {self.digest!r:.80} is not sha256: and 64 hexadecimal digits"
        return "" if self.spill or not self.length else "there is a length, and no memory file"


class Failed(Message):
    """The action could not be loaded. Status and text are those of the answer to its ``/init``."""

    status: int = 502
    text: str = ""
    traceback: str = ""

    def check(self) -> str:
        """Refuse a status that would tell the sender of the ``/init`` that it succeeded."""
        return "" if 400 <= self.status <= 599 else f"{self.status} is no status of a failure"


class Compared(Message):
    """A copy was run. The text says how its answer is a ``difference``; empty if it is none."""

    difference: str = ""

    def check(self) -> str:
        """Refuse a text that cannot be a line of the log and of the answer to the ``/init``."""
        if len(self.difference) > LONGEST_DIFFERENCE:
            return f"its text has more than {LONGEST_DIFFERENCE} characters"
        return "" if self.difference.isprintable() else "its text is no line of printable text"


class TrialEnded(Message):
    """The worker has carried out `EndTrial`, and can serve."""


class LogOpened(Message):
    """
    The worker leads its output into two pipes. Descriptors: the ends to read, first that of stdout,
    then that of stderr. The marks in them begin with ``token``; see `hotwhisk.ipc.run_marks`.
    """

    descriptor_count: ClassVar[int] = 2
    token: str = ""

    def check(self) -> str:
        """Refuse a token that ordinary output could hold."""
        return "" if _TOKEN.fullmatch(self.token) else f"{self.token!r:.80} is no token"


class SpillCreated(Message):
    """Memory file ``spill`` belongs to the worker that made it or got it. Descriptor: the file."""

    descriptor_count: ClassVar[int] = 1
    spill: int = 0


class SpillClosed(Message):
    """The worker does not need memory file ``spill`` any more."""

    spill: int = 0


class InitReceived(Message):
    """
    Connection ``number`` sent an ``/init``, whose body is in memory file ``spill``. The worker has
    released the connection, and the supervisor answers. If the client wants the connection closed,
    this is the ``last`` answer. Descriptor: the file, if it is ``new``, as with `SpillCreated`.
    """

    number: int = 0
    spill: int = 0
    offset: int = 0
    length: int = 0
    last: bool = False
    new: bool = False

    def descriptors(self) -> int:
        """Return 1 for a file that is new."""
        return int(self.new)


class Released(Message):
    """
    The worker has released these connections, each ``[number, epoch]``. ``recalled`` says that this
    is the answer to a `Recall`.
    """

    width: ClassVar[int] = 2
    connections: Sequence[Sequence[int]] = ()
    recalled: bool = False


class RunBegun(Message):
    """
    The worker, which serves one run only, has begun it. It has released these connections, each
    ``[number, epoch]``, and exits after its answer.
    """

    width: ClassVar[int] = 2
    connections: Sequence[Sequence[int]] = ()


class FolderRemoved(Message):
    """The folder of ``generation`` is gone. If a ``rest`` is left, send `RemoveFolder` again."""

    generation: int = 0
    rest: bool = False


class LogEnded(Message):
    """The worker has carried out `EndLog`."""


class StartTimer(Message):
    """A run or a linger starts, and the scoreboard says that the supervisor's timer is off."""


class Closed(Message):
    """A connection was closed while the server is full or stops. Read the scoreboard now."""


class Pong(Message):
    """The answer to `Ping`."""


KINDS = {each.kind: each for each in Message.__subclasses__()}
"""The class of each message by its name on the wire."""


FROM_WORKER: Collection[type[Message]] = frozenset(
    {
        TemplateReady, Ready, Failed, SpillCreated, SpillClosed, InitReceived, Released, RunBegun,
        FolderRemoved, LogEnded, StartTimer, Closed, Pong, LogOpened, Compared, TrialEnded,
    }
)  # fmt: skip
"""The messages that a worker may send."""

FROM_TEMPLATE: Collection[type[Message]] = frozenset({Spawned})
"""The messages that a template may send."""


class ProtocolError(ValueError):
    """A packet that its sender may not send. The text says why."""
