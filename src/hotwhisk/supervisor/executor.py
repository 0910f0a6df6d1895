"""
Carries out the decisions of `rollout`, one command at a time, in order.

The order is part of the decision. For example, a replacement recalls the connections of every old
worker before the answer to its ``/init`` is written (promise 3), and assigns them again after that.
"""

from __future__ import annotations

from collections.abc import Callable

from hotwhisk.config.platform import Profile
from hotwhisk.http1 import http1
from hotwhisk.ipc import messages
from hotwhisk.ipc.scoreboard import IN_FLIGHT, CloseAfter
from hotwhisk.openwhisk import bodies
from hotwhisk.openwhisk.answers import LONGEST_DETAIL, Cause, failure_answer
from hotwhisk.openwhisk.sentinels import BOTH
from hotwhisk.openwhisk.trial_request import init_done
from hotwhisk.supervisor import commands
from hotwhisk.supervisor.commands import Command
from hotwhisk.supervisor.log_events import LogEvent
from hotwhisk.supervisor.trial_channel import TrialChannel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Never, NoReturn

    from hotwhisk.supervisor.parts import Parts
    from hotwhisk.supervisor.process import Process
    from hotwhisk.supervisor.receiver import Receiver


class Executor:
    """
    Carries out the decisions of one server. ``answered`` is called with the result of each
    replacement that did not come over HTTP.
    """

    def __init__(
        self, parts: Parts, receiver: Receiver, answered: Callable[[commands.SendAnswer], None]
    ) -> None:
        self._parts = parts
        self._receiver = receiver
        self._answered = answered
        self._sockets = parts.sockets
        self._scoreboard = parts.scoreboard
        self._processes = parts.processes
        self.trial = TrialChannel(parts)
        self._load_began = 0.0
        self._logged = ""
        self._spare: Process | None = None
        """A spare whose process may have to be started after the commands."""

    def run(self) -> None:
        """Carry out every decision, including those that follow, in the order of the queue."""
        waiting = self._parts.rollout.commands
        while waiting:
            command = waiting.popleft()
            try:
                self._carry_out(command)
            except OSError as error:
                self._give_up_command(command, error)
        if self._spare is not None and not self._parts.rollout.spare_may_wait:
            self._spare.when_needed, self._spare = False, None
            self.start_pending()

    def _carry_out(self, command: Command) -> None:  # noqa: C901, PLR0912 - a case for each command
        match command:
            case commands.Assign():  # first, since there is one for each new connection
                self._assign(command)
            case commands.StartWorker():
                self._start(command)
            case commands.Load():
                self._load(command)
            case commands.Spawn():
                self._spawn(command)
            case commands.Kill():
                self._processes.kill(command.worker)
            case commands.RemoveFolder():
                self._remove_folder(command)
            case commands.Send():
                self._processes.by_slot[command.worker].channel.send(command.message)
            case commands.Recall():
                self._recall(command)
            case commands.Restore():
                self._parts.restore(command)
            case commands.SendError():
                self._send_error(command)
            case commands.CloseConnection():
                self._sockets.close(command.number)
            case commands.SendAnswer():
                self._send_answer(command)
            case commands.ReleaseArtifact():
                command.artifact.release()
            case commands.Log():
                self._parts.log(command.text, command.event)
            case commands.BeginTrial() | commands.OfferCopies() | commands.CloseTrial():
                self.trial.carry_out(command)
            case _:
                _demand_case(command)

    def _give_up_command(self, command: Command, error: OSError) -> None:
        """
        Give up a command that the system refused, where no other code handles the error. If it was
        for a worker, the worker is killed, and its exit settles the rest.
        """
        what = f"{type(command).__name__}: {error.strerror}"
        worker = getattr(command, "worker", None)
        if worker in self._processes.by_slot:
            self._parts.log(f"a worker is ended: {what}", LogEvent.WORKER_ENDED)
            self._processes.kill(worker)
        else:
            self._parts.log(
                f"the system refused what had to be done: {what}", LogEvent.SYSTEM_REFUSED
            )

    # -- workers ----------------------------------------------------------------------------

    def _start(self, command: commands.StartWorker) -> None:
        """
        Create a worker, and start its process.

        The process of a spare is started after the other commands, or when a message waits for it.
        """
        process = self._processes.create(command.worker)
        if command.worker == self._parts.rollout.workers.spare:
            self._spare, process.when_needed = process, True
            process.channel.on_backlog = self.start_pending
        else:
            self.start_pending()

    def start_pending(self) -> None:
        """
        Fork every worker that has no process yet.

        If a fork fails, it is tried again at the next tick. Until then the worker's messages wait
        in its channel, and the other workers go on.
        """
        for process in self._processes.unforked():
            try:
                if not self._processes.backoff:
                    self._processes.start(process)
            except OSError as error:
                self._log_once(f"no process can be started: {error.strerror}; trying again")
            if process.pending_fork is not None:
                return
            self._receiver.watch(process)
        self._logged = ""

    def _log_once(self, text: str) -> None:
        if text != self._logged:
            self._parts.log(text, LogEvent.SYSTEM_REFUSED)
        self._logged = text

    def _load(self, command: commands.Load) -> None:
        rollout, number = self._parts.rollout, command.generation
        process = self._processes.by_slot[command.worker]
        process.generation, process.started = number, self._parts.system.now()
        first = rollout.candidate is not None and rollout.candidate.slot == command.worker
        if first:
            self._load_began = process.started
        # A template costs some megabytes. Where one worker serves one version, most actions never
        # need another worker; if one does, the second worker leaves the template.
        policy = rollout.policy
        alone = first and policy.workers == 1 and not policy.reinit and not policy.single_run
        template = number != rollout.workers.banned and not alone
        folder = f"{self._parts.folder}/{number}/code"
        load = command.artifact.load_message(number, folder, template=template, further=not first)
        process.channel.send(*load)

    def _spawn(self, command: commands.Spawn) -> None:
        template = self._processes.by_slot[command.template]
        try:
            self._processes.fork_from_template(command.worker, template)
        except OSError as error:
            self._log_once(f"no process can be started: {error.strerror}; trying again")
            self._parts.rollout.not_spawned(command.worker)

    def _remove_folder(self, command: commands.RemoveFolder) -> None:
        folder = f"{self._parts.folder}/{command.generation}"
        message = messages.RemoveFolder(command.generation, folder)
        self._processes.by_slot[command.worker].channel.send(message)

    # -- connections ------------------------------------------------------------------------

    def _assign(self, command: commands.Assign) -> None:
        process = self._processes.by_slot[command.worker]
        self._scoreboard.rewrite_recalls(command.worker)
        self._sockets.give_reserve(process)  # only here: the first connections follow the answer
        detail, ready = command.detail[:LONGEST_DETAIL], bool(self._parts.rollout.current.number)
        for at in range(0, len(command.numbers), messages.ASSIGNED_AT_ONCE):
            connections: list[list[int]] = []
            rights: list[int] = []
            for number in command.numbers[at : at + messages.ASSIGNED_AT_ONCE]:
                if number not in self._sockets.descriptors:
                    continue  # it was closed meanwhile
                unread = self._sockets.spilled(number)
                if unread is None:
                    # No descriptor was free for the file with its unread bytes, or its worker named
                    # a file that it does not have.
                    self._parts.rollout.dispatcher.answer_lost(number)
                    continue
                spill, length = unread
                epoch = self._sockets.next_epoch(number, command.worker)
                connections.append([number, epoch, spill, length])
                rights.append(self._sockets.descriptors[number])
                if spill:
                    rights.append(self._sockets.spills.pass_on(spill, number, command.worker))
            if connections:
                message = messages.Assign(connections, command.run_error, detail, ready)
                process.channel.send(message, rights)

    def _recall(self, command: commands.Recall) -> None:
        process = self._processes.by_slot[command.worker]
        self._scoreboard.raise_recalls(process.slot)
        message, rollout = messages.Recall(command.drain, command.keep), self._parts.rollout
        dispatcher = rollout.dispatcher
        if not self._parts.system.has_barrier:  # the claim proves nothing: wait for Released
            process.channel.send(message)
            dispatcher.reclaimed(process.slot, ())
            return
        self._parts.system.barrier()
        claimed = self._scoreboard.claimed(process.slot)
        owned = dispatcher.owners.owned(process.slot)
        moved = self._sockets.movable(owned, but=claimed)
        # After `movable`: a worker that has followed the recall keeps the runs that it had, and
        # their connections are idle soon. They would be taken from it, and it would read on.
        if command.drain:
            # It gets no connection any more, so this can come after the answer, which is not to
            # wait for a processor while the worker exits.
            rollout.commands.append(commands.Send(process.slot, message))
        else:
            process.channel.send(message)
        # After `movable`: a file that a row names then was sent before, so it is in the channel.
        self._receiver.read_channel(process)
        dispatcher.reclaimed(process.slot, moved)

    def _send_error(self, command: commands.SendError) -> None:
        number, parts = command.number, self._parts
        if number not in self._sockets.descriptors:
            return  # the connection was closed meanwhile
        if command.cause is not Cause.BUSY:  # no worker has read that one
            parts.stats.answered_for_dead_workers += 1
        current = parts.rollout.current
        label = command.label or commands.Label(current.number, current.digest)
        if number not in self._sockets.counted:
            parts.stats.totals.answered_for_worker(label.generation, command.cause)
        self._sockets.close_spill_of(number)
        row = self._scoreboard.row(number)
        begun = self._scoreboard.phase(number) in IN_FLIGHT
        last = bool(row.close_after) or not begun
        # If the spare dies now, the scoreboard shows that an answer is still missing.
        self._scoreboard.set_running(number, parts.system.now(), float("inf"), row.sent)
        status, text = failure_answer(parts.config.profile, command.cause, command.detail)
        if last:
            # Also for the spare after this one.
            self._scoreboard.set_close(number, CloseAfter.READ_AHEAD)
        missing = BOTH & ~row.ended if parts.config.profile is Profile.OPENWHISK and begun else 0
        self._scoreboard.set_sentinels(number, BOTH & ~missing)
        process = self._processes.by_slot[command.worker]
        self._scoreboard.rewrite_recalls(command.worker)
        epoch = self._sockets.next_epoch(number, command.worker)
        self._sockets.counted.add(number)
        process.channel.send(
            messages.SendError(
                number, epoch, status, text, last=last, sentinels=missing, generation=str(label)
            ),
            (self._sockets.descriptors[number],),
        )

    # -- replacements -----------------------------------------------------------------------

    def _send_answer(self, command: commands.SendAnswer) -> None:
        parts, candidate = self._parts, command.candidate
        current = parts.rollout.current
        seconds = 0.0
        if candidate.slot is not None:
            seconds = parts.system.now() - self._load_began
        # The report gives a refused version its own number, not that of the current version.
        number = current.number if command.status == 200 else candidate.generation or None
        parts.stats.replaced(number, seconds, command.text, rollback=candidate.rollback)
        if command.status == 200:
            parts.stats.current_since = parts.system.now()
        if candidate.connection is None:
            self._answered(command)
        elif candidate.connection in self._sockets.descriptors:
            ok = command.status == 200
            body = init_done(candidate.verdict) if ok else bodies.error_body(command.text)
            header = b"Hotwhisk-Generation: %d %s\r\n" % (current.number, current.digest.encode())
            keep = not candidate.last
            head = http1.response_head(command.status, len(body), header, keep_alive=keep)
            self._sockets.send_response(candidate.connection, head + body)
            if candidate.last:
                self._sockets.close(candidate.connection)


def _demand_case(command: Never) -> NoReturn:
    """Fail the check of types if a command has no case. `typing` would take half a megabyte."""
    raise AssertionError(f"no case for {command!r}")
