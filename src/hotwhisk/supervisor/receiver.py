"""
Reads workers' messages and exits, and passes them to `rollout`.

The counterpart of `executor`. A message may be late, so each message about a connection bears its
epoch. The action can write to the channel. So `messages.decode` checks the types, and this module
and the code that it calls check that a worker names only its own things. A worker that breaks these
rules is killed. A worker whose message raises any other error is killed too: that error is a bug of
ours, and costs this worker, not the server.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from signal import SIGKILL
from typing import TYPE_CHECKING

from hotwhisk.ipc import messages
from hotwhisk.ipc.channel import ChannelClosed, DescriptorsLost
from hotwhisk.ipc.messages import Message, ProtocolError
from hotwhisk.ipc.scoreboard import CloseAfter, Phase
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.server.status import LONGEST_ERROR
from hotwhisk.supervisor.artifacts import LocalArtifact, UploadedArtifact
from hotwhisk.supervisor.commands import Recovery
from hotwhisk.supervisor.templates import is_template
from hotwhisk.supervisor.workers import State

if TYPE_CHECKING:
    from hotwhisk.supervisor.process import Process
    from hotwhisk.supervisor.supervisor import Supervisor
    from hotwhisk.system.children import ExitStatus


READ_AT_ONCE = 64
"""Packets that are read from one worker before others have their turn."""

READ_ALL = 4096
"""Packets that are read if all must be read; more than a socket can hold at one time."""


class Receiver:
    """Reads the messages and exits of all workers of one server."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._sockets = supervisor.sockets
        self._scoreboard = supervisor.scoreboard
        self._processes = supervisor.processes
        self._rollout = supervisor.rollout
        self._oom_kills = supervisor.system.oom_kills()

    def watch(self, process: Process) -> None:
        """Watch a worker's channel and its pidfd."""
        supervisor, descriptor = self._supervisor, process.channel.fileno()
        supervisor.watch(descriptor, lambda: self.receive(process))
        supervisor.watch(process.pidfd, lambda: self._on_exit(process))
        # By number: a channel that held itself would not be freed with its worker.
        process.channel.on_backlog = lambda: supervisor.watch_writable(process)
        process.channel.on_failure = lambda error: self._cut_off(process, error)
        process.channel.flush()
        if process.channel.backlog:  # messages that were sent before the process was forked
            supervisor.watch_writable(process)

    def receive(self, process: Process) -> None:
        """Read a worker's messages, and act on them."""
        self._read(process, READ_AT_ONCE)
        self._guard(process, lambda: self._act(process))

    def read_channel(self, process: Process) -> None:
        """
        Read all messages of a worker; act only on those about memory files and templates.

        A worker sends a file before the scoreboard names it, so every file named by now is known.
        """
        self._read(process, READ_ALL)

    def _read(self, process: Process, most: int) -> None:
        self._guard(process, lambda: self._receive(process, most))

    def _guard(self, process: Process, step: Callable[[], None]) -> None:
        """
        Run a step that handles a worker's messages; any error in it ends that worker and nothing
        else.
        """
        if process.killed_for_protocol_error:
            return
        try:
            step()
        except (ProtocolError, DescriptorsLost) as error:
            self._kill_for(process, str(error) or "descriptors were lost on the way")
        except Exception:  # noqa: BLE001 - the net: a bug of ours must not end the server
            self._kill_for(process, f"a bug in hotwhisk, please report it: {_trace()}")

    def _receive(self, process: Process, most: int) -> None:
        try:
            for _ in range(most):
                received = process.channel.receive()
                if received is None:
                    return
                self._sort(process, *received)
        except ChannelClosed:  # no proof of its death: a child of the action may hold the end
            self._supervisor.unwatch(process.channel.fileno())
        except OSError:  # memory has run out for now: the rest is read at the next tick
            self._supervisor.rest(process.channel.fileno())

    def _sort(self, process: Process, message: Message, descriptors: list[int]) -> None:
        """Act on a message at once, or queue it; close the descriptors that are not taken over."""
        try:
            if isinstance(message, messages.SpillCreated):
                self._sockets.spills.deposit(message.spill, descriptors[0], process.slot)
                descriptors.clear()
                self._kill_largest_spill_owner()
            elif isinstance(message, messages.SpillClosed):
                self._sockets.spills.drop(message.spill, process.slot)
            elif isinstance(message, messages.TemplateReady):
                if self._is_loading(process):
                    self._template_ready(process.generation, message, descriptors)
            else:
                process.inbox.append(message)
        finally:
            for each in descriptors:
                os.close(each)

    def _act(self, process: Process) -> None:
        while process.inbox:
            self._handle(process, process.inbox.popleft())
            self._supervisor.run_commands()

    def _handle(self, process: Process, message: Message) -> None:  # noqa: C901 - a case for each message
        match message:
            case messages.InitReceived():
                self._init_received(process, message)
            case messages.Released():
                self._released(process, message)
            case messages.Ready():
                self._ready(process, message)
            case messages.Failed():
                if self._is_loading(process):
                    self._rollout.failed(process.slot, message.status, message.text)
            case messages.Spawned():
                self._spawned(process, message)
            case messages.LogEnded():
                self._rollout.log_ended(process.slot)
            case messages.FolderRemoved():
                jobs = self._rollout.jobs
                jobs.folder_removed(process.slot, message.generation, rest=message.rest)
            case messages.StartTimer():
                self._scoreboard.timer_on = True
            case messages.Pong():
                process.silent = False
            case messages.Closed():
                pass  # the sweep after every wait does what this message asks for
            case _:
                raise ProtocolError(f"a worker sends no {message.kind}")

    def _kill_largest_spill_owner(self) -> None:
        """End the worker with most memory files, if there are more files than requests can need."""
        spills = self._sockets.spills
        process = self._processes.by_slot.get(spills.largest_owner()) if spills.crowded else None
        if process is not None and not process.killed_for_protocol_error:
            self._kill_for(process, "it keeps more memory files than its requests can need")

    def _kill_for(self, process: Process, why: str) -> None:
        """End a worker for a wrong message: the action can write to its channel."""
        self._supervisor.log(f"worker {process.pid} is ended: {why}")
        self._supervisor.unwatch(process.channel.fileno())
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
        """
        End a worker to which a message could not be sent. If it has closed its channel, it has
        ended as a rule, or has become another program.
        """
        if not isinstance(error, BrokenPipeError | ConnectionResetError):
            self._supervisor.log(f"worker {process.pid} is ended: {error.strerror}")
        self._processes.kill(process.slot)

    def give_up(self, process: Process) -> None:
        """
        Count a worker that cannot be killed as dead, and decide about its connections. If it still ran
        our code, it would find its connections reclaimed, and a connection with an answer closed.
        """
        slot, scoreboard = process.slot, self._scoreboard
        self._supervisor.log(
            f"worker {process.pid} cannot be ended: it runs as another user; its requests are "
            "answered, and it is tried again"
        )
        scoreboard.recall(slot)
        self._supervisor.system.barrier()
        for number in self._rollout.dispatcher.owners.owned(slot):
            if scoreboard.phase(number) is Phase.RUNNING:
                scoreboard.set_close(number, CloseAfter.READ_AHEAD)
        self._on_exit(process)

    def _on_exit(self, process: Process) -> None:
        """Read the last messages of a dead worker, then decide about its connections."""
        if not self._processes.has_exited(process):
            return
        self._supervisor.unwatch(process.pidfd)
        self.read_channel(process)
        self.receive(process)
        self._supervisor.unwatch(process.channel.fileno())
        self._supervisor.remove_closed()
        held = self._rollout.dispatcher.owners.owned(process.slot)
        recoveries = self._sockets.recoveries(held, self._scoreboard.claimed(process.slot))
        self._scoreboard.unclaim(process.slot)
        not_spawned = [each.slot for each in self._processes.spawning(process)]
        self._processes.reap(process)
        self._sockets.close_spills_of_worker(process.slot)
        ending = process.ending
        assert ending is not None
        if self._rollout.workers[process.slot].is_template:
            self._rollout.template_exited(process.slot, not_spawned)
            self._processes.reap_orphans()
        else:
            self._report(process, ending, recoveries)
            cause, now = self._cause(ending), self._supervisor.system.now()
            self._rollout.exited(process.slot, cause, str(ending), recoveries, now)
        self._scoreboard.timer_on = True  # a pause may begin, and only a tick ends one

    def _report(
        self, process: Process, ending: ExitStatus, recoveries: list[tuple[int, Recovery]]
    ) -> None:
        """Count an exit in the status, unless the worker was told to exit."""
        worker = self._rollout.workers[process.slot]
        dismissed = worker.state is State.KILLED and worker.kill_reason is None
        if not dismissed and worker.state is not State.DRAINING:
            owed = sum(each is Recovery.FAIL for _, each in recoveries)
            report = self._supervisor.stats
            report.died(process.pid, process.generation, str(ending), owed=owed)

    def _cause(self, ending: ExitStatus) -> Cause:
        kills, self._oom_kills = self._oom_kills, self._supervisor.system.oom_kills()
        if ending.signal == SIGKILL and self._oom_kills > kills:
            return Cause.OUT_OF_MEMORY
        return Cause.KILLED if ending.signal else Cause.EXITED

    # -- messages ---------------------------------------------------------------------------

    def _init_received(self, process: Process, message: messages.InitReceived) -> None:
        # Never stale: the worker claimed the connection, so it was not taken from it.
        holder = self._rollout.dispatcher.owners.owner(message.number)
        if holder is not None and holder != process.slot:
            raise ProtocolError(f"connection {message.number} is not its own")
        offset, length = message.offset, message.length
        descriptor = self._sockets.spills.take(message.spill, process.slot, offset + length)
        artifact = UploadedArtifact(descriptor, offset, length, self._processes.descriptors.close)
        if process.generation:
            self._sockets.give_reserve(process.slot, process.channel)
        self._rollout.init_received(process.slot, message.number, artifact, last=message.last)

    def _set_content(self, generation: int, descriptor: int, length: int) -> None:
        """Keep the local file that a worker has read, for later workers of its generation."""
        artifact = self._rollout.artifact_of(generation)
        if isinstance(artifact, LocalArtifact) and artifact.content is None:
            close = self._processes.descriptors.close
            artifact.content = UploadedArtifact(descriptor, 0, length, close)
        else:
            os.close(descriptor)

    def _template_ready(
        self, generation: int, message: messages.TemplateReady, descriptors: list[int]
    ) -> None:
        """Add the template that a loading worker has left, or record why there is none."""
        if message.reason:
            self._supervisor.stats.no_template = (generation, message.reason[:LONGEST_ERROR])
            return
        if not is_template(message, descriptors, self._processes):
            return
        slot = self._rollout.template_ready(generation)
        if slot is None:
            return  # the caller closes its channel, so it exits, and is reaped as an orphan
        end, pidfd = descriptors
        descriptors.clear()
        self.watch(self._processes.add_template(slot, generation, message.pid, (end, pidfd)))

    def _spawned(self, template: Process, message: messages.Spawned) -> None:
        """Watch a worker that a template has forked; if it failed to fork, load the worker."""
        waiting = {each.slot for each in self._processes.spawning(template)}
        try:
            process = self._processes.spawned(template, message)
        except OSError:
            process = None
        if process is not None:
            self.watch(process)
        elif message.slot in waiting:
            self._rollout.not_spawned(message.slot)
        self._processes.reap_orphans()

    def _released(self, process: Process, message: messages.Released) -> None:
        current = [
            number
            for number, epoch in message.connections
            if self._sockets.is_current(number, epoch, process.slot)
        ]
        moved = self._sockets.movable(current)
        for number in set(current).difference(number for number, _ in moved):
            self._rollout.dispatcher.contradicted(process.slot, number)
        self._rollout.released(process.slot, moved, recalled=message.recalled)

    def _ready(self, process: Process, message: messages.Ready) -> None:
        if not self._is_loading(process):
            return
        if message.spill:
            length = message.length
            descriptor = self._sockets.spills.take(message.spill, process.slot, length)
            self._set_content(process.generation, descriptor, length)
        # Dead already? Then it was never current, and its /init is answered with the reason.
        if not self._processes.has_exited(process):
            self._sockets.give_reserve(process.slot, process.channel)
            self._rollout.ready(process.slot, message.digest, overlap=message.overlap)


def _trace() -> str:
    """Return the traceback of the error that is being handled."""
    import traceback  # seldom needed, and it imports ten other modules

    return traceback.format_exc()
