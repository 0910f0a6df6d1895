"""
Run one worker process: act on the supervisor's messages.

A worker begins as a spare, without an action. The message `Load` makes it a worker of a generation.
`hotwhisk.worker.requests` answers requests, `hotwhisk.worker.connections` has its connections.
"""

from __future__ import annotations

import _socket
from functools import partial
from os import getpid, register_at_fork
from time import process_time

from hotwhisk.action.action import Action
from hotwhisk.action.isolation import set_environment
from hotwhisk.action.signal_guard import guard_handlers
from hotwhisk.action.tracebacks import place_warnings
from hotwhisk.artifact import artifact
from hotwhisk.config.platform import TAG_VARIABLE
from hotwhisk.config.tokens import Tokens
from hotwhisk.errors import VersionError
from hotwhisk.ipc import messages
from hotwhisk.ipc.channel import Channel, ChannelClosed, DescriptorsLost
from hotwhisk.ipc.counters import UNCOUNTED
from hotwhisk.ipc.messages import LONGEST_TEXT, Message, ProtocolError
from hotwhisk.openwhisk.bodies import error_body
from hotwhisk.openwhisk.sentinels import BOTH, write_missing
from hotwhisk.worker import loading, serving, template
from hotwhisk.worker.connection import Stage
from hotwhisk.worker.connections import Place
from hotwhisk.worker.event_loop import EpollLoop, finish, move_into_asyncio
from hotwhisk.worker.own_process import exit_now
from hotwhisk.worker.requests import Requests
from hotwhisk.worker.socket_errors import Disconnected
from hotwhisk.worker.spill import Spill
from hotwhisk.worker.trial_runs import WorkerTrial
from hotwhisk.worker.version_content import Loaded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from hotwhisk.config.config import Config
    from hotwhisk.http1.http1 import Request
    from hotwhisk.ipc.scoreboard import Scoreboard
    from hotwhisk.worker.connection import Connection
    from hotwhisk.worker.optional_parts import OptionalParts


CANNOT_SERVE = 71
"""The exit status of a worker that cannot take what the supervisor sends (EX_OSERR)."""

NO_DESCRIPTORS = (
    b"hotwhisk: this worker is out of file descriptors, so it takes no more connections; the action "
    b"keeps too many files open: close them, or raise the limit (ulimit -n)\n"
)

REMOVE_FOR = 0.02
"""Seconds that one step of removing a folder takes. A version to load may come meanwhile."""


class Worker:
    """Acts on the messages of the supervisor, in one worker process."""

    def __init__(
        self,
        channel: Channel,
        scoreboard: Scoreboard,
        place: Place,
        config: Config,
        parts: OptionalParts,
    ) -> None:
        self.config = config
        kind = parts.requests or Requests
        self.requests: Requests = kind(
            channel, scoreboard, place, config, self.handle_messages, parts
        )
        self._only_run = parts.only_run
        self._adapt = parts.adapt
        self.connections = self.requests.connections
        self.trial = WorkerTrial(self.requests)
        register_at_fork(after_in_child=self.connections.after_fork)
        self._further = False
        """Whether this is a further worker of a generation that is current already."""
        self._sources = (0, 0)
        """The spill file with the content of files that were read, and its length; see `Ready`."""
        place_warnings()

    def run(self) -> NoReturn:
        """Serve until a message or the end of the channel ends this process."""
        while True:  # a loop ends when an action with coroutines moves into asyncio's
            self.connections.loop.run()

    def handle_messages(self) -> None:
        """Act on the messages that wait in the channel, up to the first `Assign`."""
        if self.connections.forked:
            exit_now(0)
        self.connections.streams.reopen_closed()
        try:
            while (received := self.connections.channel.receive()) is not None:
                message, descriptors = received
                self._handle(message, descriptors)
                if isinstance(message, messages.Assign):
                    return  # serve the other connections before the next message
        except ChannelClosed:  # as a rule the supervisor is gone
            exit_now(CANNOT_SERVE)
        except DescriptorsLost:
            self._leave()

    def _leave(self) -> None:
        """Finish the responses that were begun, then exit. Take no messages until then."""
        connections = self.connections
        connections.streams.outputs[2].write(NO_DESCRIPTORS)
        connections.loop.unwatch(connections.channel.fileno())
        for connection in list(connections.by_number.values()):
            if not connection.stays_at_recall:
                connections.remove(connection)
        connections.draining, connections.exit = True, partial(exit_now, CANNOT_SERVE)
        connections.exit_if_drained()

    def _handle(self, message: Message, descriptors: list[int]) -> None:  # noqa: C901, PLR0912 - a case for each message
        match message:
            case messages.Load():
                self._load(message, descriptors)
            case messages.Assign():
                self._assign(message, descriptors)
            case messages.SpillCreated():
                self.connections.spills.set_reserve(message.spill, descriptors[0])
            case messages.Recall():
                serving.follow_recall(self.connections, message, self.requests.release_message)
            case messages.Restore():
                serving.begin_again(self.connections, message)
            case messages.SendError():
                self._send_error(message, descriptors[0])
            case messages.EndLog():
                self._end_log(message)
            case messages.Stop():
                self._stop()
            case messages.SetTokens():
                tokens = Tokens.from_hex(message.call, message.replace)
                self.requests.access.set_tokens(tokens)
            case messages.BeginTrial() | messages.OfferCopies() | messages.EndTrial():
                self.trial.handle(message, descriptors)
            case messages.Ping():
                self.connections.channel.send(messages.Pong())
            case messages.RemoveFolder():
                finished = artifact.discard(message.folder, REMOVE_FOR)
                report = messages.FolderRemoved(message.generation, rest=not finished)
                self.connections.channel.send(report)
            case _:
                raise ProtocolError(f"the supervisor sends no {message.kind}")

    # -- becoming a worker of a generation --------------------------------------------------

    def _load(self, message: messages.Load, descriptors: list[int]) -> None:
        began, self._further = process_time(), message.further
        outcome = loading.load(message, descriptors, self.config, self._keep_sources, self._adapt)
        self.connections.streams.reopen_closed()
        if isinstance(outcome, Loaded):
            outcome = self._prepare(message, outcome, process_time() - began) or outcome
        if isinstance(outcome, messages.Failed):
            self._send_failure(outcome)
        else:
            self._start_serving(message.generation, outcome)

    def _prepare(
        self, message: messages.Load, loaded: Loaded, seconds: float
    ) -> messages.Failed | None:
        """Make an action ready whose load took so many ``seconds``; return why that fails."""
        action, only_run = loaded.action, self._only_run
        if isinstance(action, Action):
            if only_run:
                only_run.read_folder(message.folder)
            if message.template and (only_run or seconds > template.MIN_LOAD_TIME):
                self._fork_template(message.generation)
            if only_run and (failed := only_run.prepare(self.connections, message.folder)):
                return failed
        if action.is_async:
            self.connections.loop = move_into_asyncio(self._epoll_loop())
        return loading.make_ready(action, self.config, partial(finish, self.connections.loop))

    def _keep_sources(self, content: bytes) -> None:
        """Copy content that the further workers of this generation will load into a spill file."""
        spill = self.connections.spills.take(len(content))
        spill.map[: len(content)] = content
        self._sources = (spill.number, len(content))

    def _fork_template(self, generation: int) -> None:
        """
        Fork a template. Return in this worker, and once in each worker that the template forks.

        A worker that the template forked takes its own channel and slot.
        """
        loop = self._epoll_loop()
        channel = self.connections.channel
        own = {channel.fileno(), *loop.descriptors(), *self.connections.streams.descriptors()}
        marker = self.requests.marker
        if marker is not None:
            own |= marker.descriptors()
        lowest = self.connections.place.lowest
        spawned = template.fork_template(generation, channel, own, lowest)
        if spawned is not None:
            self._further = True
            self._sources = (0, 0)  # the worker that forked the template reported it
            loop.callbacks.clear()  # they belong to the worker that forked the template
            set_environment({TAG_VARIABLE: str(getpid())})
            guard_handlers()
            channel = Channel(_socket.socket(fileno=spawned.channel))
            self.connections.reset(channel, Place(spawned.slot, spawned.recalls, lowest))
            if marker is not None:
                marker.open_again(channel, self.connections.streams)

    def _epoll_loop(self) -> EpollLoop:
        loop = self.connections.loop
        assert isinstance(loop, EpollLoop)  # until an action with coroutines is loaded
        return loop

    def _send_failure(self, failed: messages.Failed) -> None:
        logged = self.config.log_init_error and failed.status == VersionError.status
        if self.requests.sentinels is not None and logged and not self._further:
            self.requests.sentinels.write(lambda _: None)
        text, traceback = failed.text[:LONGEST_TEXT], failed.traceback[-LONGEST_TEXT:]
        self.connections.channel.send(messages.Failed(failed.status, text, traceback))

    def _start_serving(self, generation: int, loaded: Loaded) -> None:
        action, connections, requests = loaded.action, self.connections, self.requests
        requests.action = action
        serving.begin(connections, generation, loaded.digest)
        requests.overlap = action.is_async and self.config.concurrency and not self.config.fresh
        if not isinstance(action, Action):  # a program
            action.watch(connections.loop)
        self.trial.request = loaded.trial
        ready = (loaded.digest, requests.overlap, *self._sources, *self.trial.limits)
        connections.channel.send(messages.Ready(*ready))

    # -- connections ------------------------------------------------------------------------

    def _assign(self, message: messages.Assign, descriptors: list[int]) -> None:
        connections, remaining = self.connections, iter(descriptors)
        self.requests.detail, self.requests.has_version = message.detail, message.has_version
        added = []
        for number, epoch, spill, length in message.connections:
            connection = connections.add(number, next(remaining), epoch, message.run_error)
            if spill:
                connection.resume(Spill.adopt(spill, next(remaining)), length)
            added.append(connection)
        for connection in filter(connections.has, added):  # the run of one releases the others
            # As a rule its request has arrived already: answer first, watch later.
            connections.with_claim(connection, connections.resume)
            connections.watch_idle(connection)

    def _send_error(self, message: messages.SendError, descriptor: int) -> None:
        connections = self.connections
        write_missing(connections.streams.outputs, message.sentinels)
        connections.scoreboard.set_sentinels(message.number, BOTH)
        connection = connections.add(message.number, descriptor, message.epoch)
        connections.headers = b"Hotwhisk-Generation: %s\r\n" % message.generation.encode()
        connections.counters.word = UNCOUNTED  # the supervisor has counted it
        if message.last:
            connections.send_error(connection, message.status, message.text)
            return

        def answer(connection: Connection) -> None:
            body = error_body(message.text)
            if not connection.answer(message.status, body, connections.headers, keep_alive=True):
                connections.wait_to_write(connection)
            elif connections.response_sent(connection):
                connections.release(connection)

        connection.stage = Stage.WRITING  # busy, so that a recall does not take it
        connections.with_claim(connection, answer)

    def _stop(self) -> None:
        self.requests.stopping = True
        for connection in filter(self.connections.has, [*self.connections.by_number.values()]):
            if connection.stage is Stage.LISTENING:
                self.connections.with_claim(connection, self._receive_last)

    def _receive_last(self, connection: Connection) -> Request | None:
        """
        Read what has arrived; return the request if it is whole.

        A connection that has had a response and sends nothing now is closed. A new one may be about
        to send its first request, so the supervisor decides how long to wait for it.
        """
        request = self.connections.receive(connection)
        if request is None and connection.sent and connection.spill is None:
            raise Disconnected
        return request

    def _end_log(self, message: messages.EndLog) -> None:
        outputs = self.connections.streams.outputs
        outputs[2].write(message.text.encode(errors="replace"))
        write_missing(outputs, BOTH)
        self.connections.channel.send(messages.LogEnded())
