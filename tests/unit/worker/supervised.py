"""A worker in the process of the test, and the supervisor's end of all that it has."""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hotwhisk.action.action import Action
from hotwhisk.config.config import Config
from hotwhisk.ipc.channel import Channel
from hotwhisk.ipc.messages import FROM_WORKER, Assign, InitReceived, Message, SpillCreated
from hotwhisk.ipc.scoreboard import Phase, Scoreboard
from hotwhisk.worker.connection import Connection
from hotwhisk.worker.connections import Place
from hotwhisk.worker.event_loop import AsyncioLoop, EpollLoop, move_into_asyncio
from hotwhisk.worker.worker import Worker
from hotwhisk.worker.worker_options import optional_parts
from tests.support.wire import Response, ResponseReader

SLOT = 3
LOWEST = 512
CAPACITY = 16


class Client:
    """A client of the worker. ``server`` is the supervisor's duplicate of its connection."""

    def __init__(self, number: int, listener: socket.socket) -> None:
        self.number = number
        self.socket = socket.create_connection(listener.getsockname(), timeout=5)
        self.server, _ = listener.accept()
        for end in (self.socket, self.server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.settimeout(5)
        self._reader = ResponseReader()

    def send(self, data: bytes) -> None:
        """Send, and return when all of it can be read at the other end."""
        self.socket.sendall(data)
        while len(self.server.recv(len(data), socket.MSG_PEEK)) < len(data):
            pass

    def response(self) -> Response:
        """Return the next answer; the timeout of the socket is the limit."""
        while (response := self._reader.next()) is None:
            data = self.socket.recv(1 << 20)
            assert data, "the connection ended before the answer"
            self._reader.feed(data)
        return response

    @property
    def has_response(self) -> bool:
        """Whether bytes were received that `response` has not returned."""
        return bool(self._reader.pending)

    def receive_some(self) -> None:
        """Receive what has arrived, for `response`."""
        if self.answered:
            self._reader.feed(self.socket.recv(1 << 20))

    @property
    def unread(self) -> bytes:
        """What the client has sent, and the worker has not read."""
        arrived = select.select([self.server], [], [], 0)[0]
        return self.server.recv(1 << 20, socket.MSG_PEEK) if arrived else b""

    @property
    def answered(self) -> bool:
        """Whether there is anything for the client to read: an answer, or the end."""
        return bool(select.select([self.socket], [], [], 0)[0])

    @property
    def ended(self) -> bool:
        """Whether the connection is at its end, and all that came before it is read."""
        return self.answered and not self.socket.recv(1, socket.MSG_PEEK)

    def close(self) -> None:
        self.socket.close()
        self.server.close()


class Supervised:
    """A worker with a real scoreboard and channel, and clients on real sockets."""

    def __init__(self, config: Config) -> None:
        self.scoreboard = Scoreboard(CAPACITY)
        self.scoreboard.timer_on = True
        ours, theirs = Channel.pair()
        self.channel = Channel(ours, FROM_WORKER)
        place, parts = Place(SLOT, 0, LOWEST), optional_parts(config)
        self.worker = Worker(Channel(theirs), self.scoreboard, place, config, parts)
        self.connections = self.worker.connections
        self.requests = self.worker.requests
        self.clients: list[Client] = []
        self.spills: dict[int, int] = {}
        self._epoch = 0
        self._listener = socket.create_server(("127.0.0.1", 0))

    # -- what the supervisor does -----------------------------------------------------------

    def send(self, message: Message, *descriptors: int) -> None:
        """Send a message and let the worker act on it."""
        self.channel.send(message, descriptors)
        self.worker.handle_messages()

    def connect(self) -> Client:
        """Accept a client, and keep its connection."""
        client = Client(len(self.clients), self._listener)
        self.clients.append(client)
        self.scoreboard.begin_connection(client.number)
        return client

    def assign(
        self, client: Client, run_error: str = "", detail: str = "", *, has_version: bool = False
    ) -> None:
        """Assign a client's connection to the worker, with the bytes that are in a spill file."""
        self._epoch += 1
        spill, length = self.scoreboard.spill(client.number)
        files = [self.spills[spill]] if spill else []
        rows = [[client.number, self._epoch, spill, length]]
        message = Assign(rows, run_error, detail, has_version)
        self.send(message, client.server.fileno(), *files)

    def connection(self, client: Client) -> Connection:
        """Return a client's connection as the worker has it."""
        return self.connections.by_number[client.number]

    def client(self, sent: bytes = b"", run_error: str = "", detail: str = "") -> Client:
        """Accept a client that has sent something, and assign its connection."""
        client = self.connect()
        if sent:
            client.send(sent)
        self.assign(client, run_error, detail)
        return client

    def recall(self) -> None:
        """Recall the worker's connections in the scoreboard only; it has not read the message."""
        self.scoreboard.raise_recalls(SLOT)

    def messages(self) -> list[Message]:
        """Return what the worker has sent, but for its spill files, which are kept."""
        found: list[Message] = []
        while (received := self.channel.receive()) is not None:
            message, descriptors = received
            if isinstance(message, SpillCreated | InitReceived) and descriptors:
                (self.spills[message.spill],) = descriptors
            if not isinstance(message, SpillCreated):
                found.append(message)
        return found

    def phase(self, client: Client) -> Phase:
        return self.scoreboard.phase(client.number)

    def spilled(self, client: Client) -> bytes:
        """Return the bytes of a client that are in a spill file."""
        self.messages()
        spill, length = self.scoreboard.spill(client.number)
        return os.pread(self.spills[spill], length, 0) if spill else b""

    # -- what the worker does ---------------------------------------------------------------

    def serve(self, handler: Callable[..., object], *, overlap: bool = True) -> None:
        """Make the worker one of a generation, with this handler."""
        action = Action(handler)
        self.requests.action = action
        self.connections.headers = b"Hotwhisk-Generation: 7\r\n"
        if action.is_async:
            loop = self.connections.loop
            assert isinstance(loop, EpollLoop)
            self.connections.loop = move_into_asyncio(loop)
            self.requests.overlap = overlap

    def turn(self, *others: socket.socket) -> None:
        """
        Wait until a descriptor is ready, then call back for each that is, as the loop does.

        It also ends when one of ``others`` is readable.
        """
        loop = self.connections.loop
        assert isinstance(loop, EpollLoop)
        poll = select.poll()
        for descriptor in loop.callbacks:
            writing = descriptor in loop.writing
            poll.register(descriptor, select.POLLOUT if writing else select.POLLIN)
        for other in others:
            poll.register(other, select.POLLIN)
        for descriptor, _ in poll.poll(5000):
            callback = loop.callbacks.get(descriptor)
            if callback is not None:
                callback()

    def callback(self, client: Client) -> Callable[[], None]:
        """Return what the loop calls when the client's connection is ready."""
        loop = self.connections.loop
        assert isinstance(loop, EpollLoop)
        return loop.callbacks[self.connection(client).socket.fileno()]

    def turn_until(self, done: Callable[[], bool]) -> None:
        """Turn until something is so; the test's timeout is the limit."""
        clients = [each.socket for each in self.clients if each.socket.fileno() >= 0]
        while not done():
            self.turn(*clients)

    def run_tasks(self, done: Callable[[], bool]) -> None:
        """Run the loop of an asynchronous action until something is so."""
        loop = self.connections.loop
        assert isinstance(loop, AsyncioLoop)
        while not done():
            loop.asyncio.call_soon(loop.asyncio.stop)
            loop.run()

    def close(self) -> None:
        for connection in self.connections.by_number.values():
            connection.socket.close()
        loop = self.connections.loop
        if isinstance(loop, AsyncioLoop):
            loop.asyncio.close()
        elif isinstance(loop, EpollLoop):
            loop.close()
        self.connections.channel.close()
        self.channel.close()
        self._listener.close()
        for client in self.clients:
            client.close()
        for descriptor in (*self.spills.values(), *self.connections.streams.kept):
            os.close(descriptor)
        for output in self.connections.streams.outputs.values():
            output.close()


@contextmanager
def streams_kept() -> Iterator[None]:
    """Give this process back its streams, which a worker replaces."""
    streams = sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__
    try:
        yield
    finally:
        sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__ = streams  # type: ignore[misc]
