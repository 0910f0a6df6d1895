"""
The control channel between the supervisor and one worker.

A channel is a pair of SEQPACKET sockets. Messages keep their borders and their order, and
descriptors travel with them. A sender never waits for a busy receiver: if a message does not fit,
it waits in a queue of the sender. Linux refuses more than 253 descriptors in a message; `messages`
keeps batches below that.
"""

from __future__ import annotations

import _socket
from array import array
from collections import deque
from collections.abc import Callable, Collection, Sequence
from errno import ENOBUFS, ENOMEM, ETOOMANYREFS
from fcntl import ioctl
from os import close, dup
from select import POLLOUT, poll
from termios import TIOCOUTQ

from hotwhisk.ipc.messages import MAX_DESCRIPTORS, Message, ProtocolError
from hotwhisk.ipc.packets import decode, encode
from hotwhisk.system.descriptors import Descriptors

LONGEST = 65536
"""Most bytes of a message. Senders split what could be longer."""

ANCILLARY_SIZE = _socket.CMSG_SPACE(MAX_DESCRIPTORS * 4)
SEND_BUFFER = 1 << 20
# Plain numbers, because the operators of an enum cost more time than they save.
CLOSE_ON_EXEC = _socket.MSG_CMSG_CLOEXEC
TRUNCATED = _socket.MSG_CTRUNC
NO_SIGNAL = _socket.MSG_NOSIGNAL
SOL_SOCKET, SCM_RIGHTS = _socket.SOL_SOCKET, _socket.SCM_RIGHTS

TRY_AGAIN = frozenset({ETOOMANYREFS, ENOBUFS, ENOMEM})
"""Too many descriptors in flight for this user, or no memory for the message: both pass."""

_BUFFER = bytearray(LONGEST)
"""
Scratch space for one packet. All channels of a process share it, and a forked process inherits it,
so a worker begins without a page of it.
"""


class ChannelClosed(Exception):
    """
    The other end is closed.

    A worker exits then. For the supervisor, the worker's process may still run.
    """


class DescriptorsLost(Exception):
    """Descriptors arrived for which this process had no room. The kernel has closed them."""


class Channel:
    """
    One end of a control channel.

    Messages wait until `open` gives it a socket. If the other end is not trusted, ``expected``
    lists the messages that it may send. ``used`` keeps the descriptors of queued messages open;
    without it they are duplicated.
    """

    def __init__(
        self,
        end: _socket.socket | None,
        expected: Collection[type[Message]] | None = None,
        used: Descriptors | None = None,
    ) -> None:
        self._socket: _socket.socket | None = None
        self._expected = expected
        self._used = used
        self._queue: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self.on_backlog: Callable[[], None] = lambda: None
        """
        Called when a message has to wait.

        The owner then calls `flush` when the socket is writable.
        """
        self.on_failure: Callable[[OSError], None] | None = None
        """Called when the system refuses a message for good. If it is None, the error is raised."""
        self.full = False
        """Whether messages wait for room in the socket, and not for what `TRY_AGAIN` names."""
        if end is not None:
            self.open(end)

    @classmethod
    def pair(cls) -> tuple[_socket.socket, _socket.socket]:
        """
        Return two connected ends, which are not channels yet.

        Each process wraps its own end and closes the other.
        """
        ends = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        for end in ends:
            try:
                end.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, SEND_BUFFER)
            except OSError:
                pass  # messages that do not fit wait in the queue
        return ends

    def open(self, end: _socket.socket) -> None:
        """Use ``end`` as the socket. Earlier messages wait until `flush`."""
        end.setblocking(False)
        self._socket = end

    def fileno(self) -> int:
        """Return the descriptor to wait on; -1 while there is none."""
        return -1 if self._socket is None else self._socket.fileno()

    def close(self) -> None:
        """Close this end and the descriptors that are queued on it."""
        # The callbacks may refer to the owner of this channel: a cycle, which a frozen heap never
        # frees.
        self.on_backlog = lambda: None
        self.on_failure = lambda _: None
        if self._socket is not None:
            self._socket.close()
        while self._queue:
            self._let_go(self._queue.popleft()[1])

    @property
    def backlog(self) -> bool:
        """Return whether messages wait: for room, memory, a limit or a socket."""
        return bool(self._queue)

    @property
    def unread(self) -> bool:
        """Return whether the other end has not received all messages; False if it is not known."""
        if self._queue or self._socket is None:
            return bool(self._queue)
        try:
            return ioctl(self._socket, TIOCOUTQ, bytes(4)) != bytes(4)
        except OSError:
            return False

    def send(self, message: Message, descriptors: Sequence[int] = ()) -> None:
        """
        Send a message, or queue it if the other end is slow.

        The caller keeps its descriptors.
        """
        data = encode(message)
        if self._queue or not self._try(data, descriptors):
            self._queue.append((data, self._keep(descriptors)))
            self.on_backlog()

    def _keep(self, descriptors: Sequence[int]) -> tuple[int, ...]:
        if self._used is None:
            return tuple(dup(each) for each in descriptors)
        self._used.use(descriptors)
        return tuple(descriptors)

    def _let_go(self, descriptors: Sequence[int]) -> None:
        if self._used is not None:
            self._used.release(descriptors)
        else:
            for each in descriptors:
                close(each)

    def flush(self) -> None:
        """Send queued messages until the socket is full."""
        while self._queue and self._try(*self._queue[0]):
            self._let_go(self._queue.popleft()[1])

    def flush_all(self) -> None:
        """
        Wait until everything is sent.

        This is for messages that must arrive before a later change becomes visible.
        """
        room = poll()
        room.register(self.fileno(), POLLOUT)
        while self._queue:
            room.poll(100)
            self.flush()

    def _try(self, data: bytes, descriptors: Sequence[int]) -> bool:
        """Return False if a message must wait; True if it was sent, or given up."""
        if self._socket is None:
            return False
        self.full = False
        try:
            if descriptors:
                rights = array("i", descriptors)
                self._socket.sendmsg([data], [(SOL_SOCKET, SCM_RIGHTS, rights)], NO_SIGNAL)
            else:
                self._socket.send(data, NO_SIGNAL)
        except BlockingIOError:
            self.full = True
            return False
        except OSError as error:
            if error.errno in TRY_AGAIN:
                return False
            gone = isinstance(error, BrokenPipeError | ConnectionResetError)
            if self.on_failure is None and not gone:
                raise
            # A process without its channel is dead or about to end, and its pidfd reports that. But
            # the descriptors in this message would be lost until then.
            if self.on_failure is not None and (descriptors or not gone):
                self.on_failure(error)
        return True

    def receive(self) -> tuple[Message, list[int]] | None:
        """
        Return the next message and its descriptors (close-on-exec); None if no message waits.

        The descriptors are the caller's own.

        Raises:
            ChannelClosed: the other end is closed.
            DescriptorsLost: this process is out of descriptors.
            OSError: this process is out of memory.
            ProtocolError: the other end sent a packet that it may not send.
        """
        if self._socket is None:
            return None
        try:
            length, ancillary, flags, _ = self._socket.recvmsg_into(
                [_BUFFER], ANCILLARY_SIZE, CLOSE_ON_EXEC
            )
        except BlockingIOError:
            return None
        except ConnectionResetError:
            raise ChannelClosed from None
        if not length:
            raise ChannelClosed
        descriptors = array("i")
        for level, kind, rights in ancillary:
            if level == SOL_SOCKET and kind == SCM_RIGHTS:
                descriptors.frombytes(rights[: len(rights) - len(rights) % descriptors.itemsize])
        try:
            if flags & TRUNCATED:
                raise DescriptorsLost
            packet = bytes(_BUFFER[:length])
            return decode(packet, self._expected, len(descriptors)), descriptors.tolist()
        except (DescriptorsLost, ProtocolError):
            for each in descriptors:  # some may have found room
                close(each)
            raise
