"""
Reads workers' messages and exits, and passes them to `rollout`.

The counterpart of `executor`. A message may be late, so each message about a connection bears its
epoch. The action can write to the channel. So `packets.decode` checks the types, and this module
and the code that it calls check that a worker names only its own things. A worker that breaks these
rules is killed. A worker whose message raises any other error is killed too: that error is a bug of
ours, and costs this worker, not the server.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from functools import partial

from hotwhisk.ipc import messages
from hotwhisk.ipc.channel import ChannelClosed, DescriptorsLost
from hotwhisk.ipc.messages import Message, ProtocolError
from hotwhisk.supervisor.artifacts import LocalArtifact, UploadedArtifact
from hotwhisk.supervisor.exits import Exits
from hotwhisk.supervisor.log_events import LogEvent
from hotwhisk.supervisor.parts import describe_bug
from hotwhisk.supervisor.templates import Templates
from hotwhisk.supervisor.trial_channel import report
from hotwhisk.supervisor.workers import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from hotwhisk.supervisor.parts import Parts
    from hotwhisk.supervisor.process import Process

    T = TypeVar("T")


READ_AT_ONCE = 64
"""Packets that are read from one worker before others have their turn."""

BRINGS_FILE = (messages.SpillCreated, messages.InitReceived)
"""Messages that bring a new memory file."""

READ_ALL = 4096
"""Packets that are read if all must be read; more than a socket can hold at one time."""


class Receiver:
    """Reads the messages of all workers of one server, and notices their exits."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._loop = parts.loop
        self._sockets = parts.sockets
        self._processes = parts.processes
        self._rollout = parts.rollout
        self._exits, self._templates = Exits(parts), Templates(parts)
        self._unhandled: deque[Process] = deque()
        """Processes with messages, or an exit, that were received and not handled yet."""

    def watch(self, process: Process) -> None:
        """Watch a worker's channel and its pidfd."""
        read = partial(self._guard, process, self._receive, READ_AT_ONCE)
        self._loop.watch(process.channel.fileno(), read)
        self._loop.watch(process.pidfd, partial(self._on_exit, process))
        process.channel.on_backlog = lambda: self._watch_writable(process)
        process.channel.on_failure = lambda error: self._cut_off(process, error)
        if process.channel.backlog:  # messages that were sent before the process was forked
            self.flush(process)

    def flush(self, process: Process) -> None:
        """
        Send the messages that wait for a worker.

        If its channel is full, the rest is sent when it takes more. The rest may also wait for
        memory or a limit, which no event reports, so each tick of the watchdog tries again.
        """
        process.channel.flush()
        self._watch_writable(process)

    def _watch_writable(self, process: Process) -> None:
        channel = process.channel
        self._loop.watch_both(
            channel.fileno(), (lambda: self.flush(process)) if channel.full else None
        )

    def handle_next(self) -> bool:
        """
        Handle one message, or one exit; return False if none is left.

        A worker's exit is handled after its last message.
        """
        while self._unhandled:
            process = self._unhandled[0]
            if process.inbox:
                self._guard(process, self._handle, process.inbox.popleft())
                return True
            self._unhandled.popleft()
            if process.exit_unhandled and process.ending is not None:
                process.exit_unhandled = False
                self._loop.unwatch(process.channel.fileno())
                self._exits.handle(process, process.ending)
                return True
        return False

    def give_up_worker(self, process: Process) -> None:
        """
        Treat a worker that cannot be killed as dead: others take its connections.

        If it still runs our code, it finds that its connections were recalled. The spare sends an
        error for the request that it runs, and that connection is closed after the error.
        """
        self._parts.log(
            f"worker {process.pid} cannot be ended: it runs as another user; its requests are "
            "answered, and it is tried again",
            LogEvent.WORKER_ENDED,
        )
        self._exits.lock_out(process.slot)
        self._on_exit(process)

    def _on_exit(self, process: Process) -> None:
        """Read the last messages of a dead worker; its exit is handled after them."""
        if self._processes.has_exited(process):
            self._loop.unwatch(process.pidfd)
            self.read_channel(process)
            process.exit_unhandled = True
            self._unhandled.append(process)

    def read_channel(self, process: Process) -> None:
        """
        Read all messages of a worker. Act on those about files and templates, and queue the others.

        A worker sends a file before the scoreboard names it, so every file named by now is known.
        """
        self._guard(process, self._receive, READ_ALL)

    def _guard(self, process: Process, step: Callable[[Process, T], None], value: T) -> None:
        """Run a step that handles a worker's messages; if it fails, that worker is killed."""
        if process.killed_for_protocol_error:
            return
        try:
            step(process, value)
        except (ProtocolError, DescriptorsLost) as error:
            self._kill_for(process, str(error) or "descriptors were lost on the way")
        except Exception:  # noqa: BLE001 - a bug of ours must not end the server
            self._kill_for(process, describe_bug())

    def _receive(self, process: Process, most: int) -> None:
        try:
            for _ in range(most):
                received = process.channel.receive()
                if received is None:
                    return
                self._handle_or_queue(process, *received)
        except ChannelClosed:  # no proof of its exit: the action may have closed it
            process.unreachable = True  # `Liveness` ends it if it does not exit
            self._loop.unwatch(process.channel.fileno())
        except OSError:  # memory has run out for now: the rest is read at the next tick
            self._loop.watch_later(process.channel.fileno())

    def _handle_or_queue(self, process: Process, message: Message, descriptors: list[int]) -> None:
        """Act on a message at once, or queue it; close the descriptors that are not taken over."""
        try:
            if descriptors and isinstance(message, BRINGS_FILE):
                self._sockets.spills.add(message.spill, descriptors[0], process.slot)
                descriptors.clear()
                self._kill_largest_spill_owner()
            if isinstance(message, messages.SpillClosed):
                self._sockets.spills.close_own(message.spill, process.slot)
            elif isinstance(message, messages.TemplateReady):
                if self._is_loading(process):
                    template = self._templates.template_left(
                        process.generation, message, descriptors
                    )
                    if template is not None:
                        self.watch(template)
            elif isinstance(message, messages.LogOpened):
                self._parts.open_output(process, message, descriptors)
            elif not isinstance(message, messages.SpillCreated):
                if not process.inbox:
                    self._unhandled.append(process)
                process.inbox.append(message)
        finally:
            for each in descriptors:
                os.close(each)

    def _handle(self, process: Process, message: Message) -> None:  # noqa: C901, PLR0912 - a case for each message
        match message:
            case messages.InitReceived():
                self._init_received(process, message)
            case messages.Released() | messages.RunBegun():
                self._released(process, message)
            case messages.Ready():
                self._ready(process, message)
            case messages.Failed():
                if self._is_loading(process):
                    self._parts.stats.traceback = (process.generation, message.traceback)
                    self._rollout.failed(process.slot, message.status, message.text)
            case messages.Spawned():
                worker = self._templates.worker_spawned(process, message)
                if worker is not None:
                    self.watch(worker)
            case messages.LogEnded():
                self._rollout.log_ended(process.slot)
            case messages.FolderRemoved():
                jobs = self._rollout.jobs
                jobs.folder_removed(process.slot, message.generation, rest=message.rest)
            case messages.Pong():
                process.silent = False
            case messages.Compared() | messages.TrialEnded():
                report(self._parts, process.slot, message)
            case messages.StartTimer() | messages.Closed():
                pass  # each event starts the timer, and closed connections are found after it
            case _:
                raise ProtocolError(f"a worker sends no {message.kind}")

    def _kill_largest_spill_owner(self) -> None:
        """Kill the worker with most memory files, if there are more than requests can need."""
        if not self._sockets.spills.has_too_many:
            return
        process = self._processes.by_slot.get(self._sockets.spills.largest_owner())
        if process is not None and not process.killed_for_protocol_error:
            self._kill_for(process, "it keeps more memory files than its requests can need")

    def _kill_for(self, process: Process, why: str) -> None:
        """Kill a worker for a wrong message; the action can write to its channel."""
        self._parts.log(f"worker {process.pid} is ended: {why}", LogEvent.WORKER_ENDED)
        self._loop.unwatch(process.channel.fileno())
        process.killed_for_protocol_error = True
        process.inbox.clear()
        self._processes.kill(process.slot)

    def _is_loading(self, process: Process) -> bool:
        """
        Return whether a worker may send messages about its load; False if it was too slow.

        Raises:
            ProtocolError: the worker was not told to load anything, or has finished its load.
        """
        state = self._rollout.workers[process.slot].state
        if state not in (State.LOADING, State.KILLED):
            raise ProtocolError(f"it loads nothing, it is {state}")
        return state is State.LOADING

    def _cut_off(self, process: Process, error: OSError) -> None:
        """Kill a worker that cannot be sent a message; log why, unless its channel is closed."""
        if not isinstance(error, BrokenPipeError | ConnectionResetError):
            text = f"worker {process.pid} is ended: {error.strerror}"
            self._parts.log(text, LogEvent.WORKER_ENDED)
        self._processes.kill(process.slot)

    # -- messages ---------------------------------------------------------------------------

    def _init_received(self, process: Process, message: messages.InitReceived) -> None:
        # Never stale: while a worker has claimed a connection, a recall leaves it there.
        owner = self._rollout.dispatcher.owners.owner(message.number)
        if owner is not None and owner != process.slot:
            raise ProtocolError(f"connection {message.number} is not its own")
        offset, length = message.offset, message.length
        descriptor = self._sockets.spills.take(message.spill, process.slot, offset + length)
        artifact = UploadedArtifact(descriptor, offset, length, self._processes.descriptors.close)
        self._sockets.give_reserve(process)
        self._rollout.init_received(process.slot, message.number, artifact, last=message.last)

    def _set_content(self, generation: int, descriptor: int, length: int) -> None:
        """Keep the local file that a worker has read, for later workers of its generation."""
        artifact = self._rollout.artifact_of(generation)
        if isinstance(artifact, LocalArtifact) and artifact.content is None:
            close = self._processes.descriptors.close
            artifact.content = UploadedArtifact(descriptor, 0, length, close)
        else:
            os.close(descriptor)

    def _released(self, process: Process, message: messages.Released | messages.RunBegun) -> None:
        current = [
            number
            for number, epoch in message.connections
            if self._sockets.is_current(number, epoch, process.slot)
        ]
        moved = self._sockets.movable(current)
        for number in set(current).difference(number for number, _ in moved):
            self._rollout.dispatcher.close_contradicted(process.slot, number)
        if isinstance(message, messages.Released):
            self._rollout.released(process.slot, moved, recalled=message.recalled)
        elif not self._parts.config.fresh:
            raise ProtocolError("it serves more than one run")
        else:
            self._rollout.run_begun(process.slot, moved)

    def _ready(self, process: Process, message: messages.Ready) -> None:
        if not self._is_loading(process):
            return
        if message.spill:
            descriptor = self._sockets.spills.take(message.spill, process.slot, message.length)
            self._set_content(process.generation, descriptor, message.length)
        # Dead already? Then it was never current, and its /init is answered with the reason.
        if not self._processes.has_exited(process):
            overlap, trial = message.overlap, (message.copies, message.seconds)
            self._rollout.ready(process.slot, message.digest, overlap=overlap, trial=trial)
