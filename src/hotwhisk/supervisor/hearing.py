"""
Hears the workers: what each says, and that it died; and tells `succession`.

This is the counterpart of `execution`, with one method for each message. A message may be late, so
each message about a connection bears its tenure. The action can write to the channel. So
`messages.decode` checks the types, and this module and the code that it calls check that a worker
names only its own things. A worker that breaks these rules is ended. A worker whose message raises
any other error is ended too: that error is a bug of ours, and costs this worker, not the server.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from signal import SIGKILL
from typing import TYPE_CHECKING

from hotwhisk import messages
from hotwhisk.answers import Cause
from hotwhisk.channel import ChannelClosed, DescriptorsLost
from hotwhisk.ledger import Last, Phase
from hotwhisk.messages import Message, ProtocolError
from hotwhisk.supervisor.artifacts import Posted
from hotwhisk.supervisor.effects import Debt, Discard
from hotwhisk.supervisor.lifecycle import State
from hotwhisk.supervisor.nursery import Nursery

if TYPE_CHECKING:
    from hotwhisk.supervisor.process import Process
    from hotwhisk.supervisor.supervisor import Supervisor
    from hotwhisk.system.offspring import Ending


READ_AT_ONCE = 64
"""Packets that are read from one worker before others have their turn."""

READ_ALL = 4096
"""Packets that are read if all must be read; more than a socket can hold at one time."""


class Hearing:
    """Reads workers' messages and deaths, and passes them to `succession`."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._holdings = supervisor.holdings
        self._ledger = supervisor.ledger
        self._crew = supervisor.crew
        self._succession = supervisor.succession
        self.nursery = Nursery(supervisor)
        self._oom_kills = supervisor.system.oom_kills()

    def attend(self, process: Process) -> None:
        """Watch a worker's channel and its pidfd."""
        supervisor, descriptor = self._supervisor, process.channel.fileno()
        supervisor.watch(descriptor, lambda: self.hear(process))
        supervisor.watch(process.pidfd, lambda: self._bereaved(process))
        # By number: a channel that held itself would not be freed with its worker.
        process.channel.on_backlog = lambda: supervisor.speak_on(process)
        process.channel.on_failure = lambda error: self._cut_off(process, error)
        process.channel.flush()
        if process.channel.backlog:  # orders that came before it was born
            supervisor.speak_on(process)

    def hear(self, process: Process) -> None:
        """Read a worker's messages, and act on them."""
        self._read(process, READ_AT_ONCE)
        self._guard(process, lambda: self._act(process))

    def collect(self, process: Process) -> None:
        """
        Read all messages of a worker; act only on those about memory files and templates.

        A worker deposits a file before the ledger names it, so every file named by now is known.
        """
        self._read(process, READ_ALL)

    def _read(self, process: Process, most: int) -> None:
        self._guard(process, lambda: self._receive(process, most))

    def _guard(self, process: Process, step: Callable[[], None]) -> None:
        """
        Run a step that handles a worker's messages; any error in it ends that worker and nothing
        else.
        """
        if process.expelled:
            return
        try:
            step()
        except (ProtocolError, DescriptorsLost) as error:
            self._expel(process, str(error) or "descriptors were lost on the way")
        except Exception:  # noqa: BLE001 - the net: a bug of ours must not end the server
            self._expel(process, f"a bug in hotwhisk, please report it: {_trace()}")

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
            if isinstance(message, messages.Deposit):
                self._holdings.spills.deposit(message.spill, descriptors[0], process.slot)
                descriptors.clear()
                self._end_hoarder()
            elif isinstance(message, messages.Drop):
                self._holdings.spills.drop(message.spill, process.slot)
            elif isinstance(message, messages.Template):
                if self._is_loading(process):
                    self.nursery.adopt(process.generation, message, descriptors)
            else:
                process.inbox.append(message)
        finally:
            for each in descriptors:
                os.close(each)

    def _act(self, process: Process) -> None:
        while process.inbox:
            message = process.inbox.popleft()
            HEARD[type(message)](self, process, message)
            self._supervisor.carry_out()

    def _end_hoarder(self) -> None:
        """End the worker with most memory files, if there are more files than requests can need."""
        spills = self._holdings.spills
        process = self._crew.processes.get(spills.largest_owner()) if spills.crowded else None
        if process is not None and not process.expelled:
            self._expel(process, "it keeps more memory files than its requests can need")

    def _expel(self, process: Process, why: str) -> None:
        """End a worker for a wrong message: the action can write to its channel."""
        self._supervisor.tell(f"worker {process.pid} is ended: {why}")
        self._supervisor.unwatch(process.channel.fileno())
        process.expelled = True
        process.inbox.clear()
        self._crew.kill(process.slot)

    def _is_loading(self, process: Process) -> bool:
        """
        Return whether a worker may send messages about its load; False if it was too slow.

        Raises:
            ProtocolError: the worker was not told to load anything, or has finished its load.
        """
        state = self._succession.roster[process.slot].state
        if state not in (State.LOADING, State.DOOMED):
            raise ProtocolError(f"it loads nothing, it is {state}")
        return state is State.LOADING

    def _cut_off(self, process: Process, error: OSError) -> None:
        """
        End a worker to which a message could not be sent. If it has closed its channel, it has
        ended as a rule, or has become another program.
        """
        if not isinstance(error, BrokenPipeError | ConnectionResetError):
            self._supervisor.tell(f"worker {process.pid} is ended: {error.strerror}")
        self._crew.kill(process.slot)

    def give_up(self, process: Process) -> None:
        """
        Count a worker that cannot be killed as dead, and settle its debts. If it still ran our
        code, it would find its connections taken back, and a connection with an answer closed.
        """
        slot, ledger = process.slot, self._ledger
        self._supervisor.tell(
            f"worker {process.pid} cannot be ended: it runs as another user; its requests are "
            "answered, and it is tried again"
        )
        ledger.recall(slot)
        self._supervisor.system.barrier()
        for number in self._succession.assignment.custody.held(slot):
            if ledger.phase(number) is Phase.HANDLING:
                ledger.set_last(number, Last.READ_ON)
        self._bereaved(process)

    def _bereaved(self, process: Process) -> None:
        """Read the last messages of a dead worker, then settle its debts."""
        if not self._crew.ended(process):
            return
        self._supervisor.unwatch(process.pidfd)
        self.collect(process)
        self.hear(process)
        self._supervisor.unwatch(process.channel.fileno())
        self._supervisor.sweep()
        held = self._succession.assignment.custody.held(process.slot)
        debts = self._holdings.debts(held, self._ledger.claimed(process.slot))
        self._ledger.unclaim(process.slot)
        self._crew.bury(process)
        self._holdings.bury(process.slot)
        ending = process.ending
        assert ending is not None
        self._report(process, ending, debts)
        cause, now = self._cause(ending), self._supervisor.system.now()
        self._succession.died(process.slot, cause, str(ending), debts, now)
        self._ledger.ticking = True  # it may begin a pause, and only a look ends one
        for generation in self._supervisor.execution.undone_by(process.slot):
            # A generation with workers has come back meanwhile; 0 stands for an old folder.
            if not generation or not self._succession.roster.of(generation):
                self._succession.effects.append(Discard(generation))

    def _report(self, process: Process, ending: Ending, debts: list[tuple[int, Debt]]) -> None:
        """Put a death into the report, unless the worker was told to leave."""
        worker = self._succession.roster[process.slot]
        dismissed = worker.state is State.DOOMED and worker.doom is None
        if not dismissed and worker.state is not State.RETIRED:
            owed = sum(each is Debt.ANSWER for _, each in debts)
            report = self._supervisor.report
            report.died(process.pid, process.generation, str(ending), owed=owed)

    def _cause(self, ending: Ending) -> Cause:
        kills, self._oom_kills = self._oom_kills, self._supervisor.system.oom_kills()
        if ending.signal == SIGKILL and self._oom_kills > kills:
            return Cause.OUT_OF_MEMORY
        return Cause.KILLED if ending.signal else Cause.EXITED

    # -- what a worker says, one method a message ----------------------------------------------

    def _posted(self, process: Process, message: messages.Posted) -> None:
        # Never stale: the worker claimed the connection, so it was not taken from it.
        holder = self._succession.assignment.custody.holder(message.number)
        if holder is not None and holder != process.slot:
            raise ProtocolError(f"connection {message.number} is not its own")
        offset, length = message.offset, message.length
        descriptor = self._holdings.spills.take(message.spill, process.slot, offset + length)
        artifact = Posted(descriptor, offset, length, self._crew.descriptors.close)
        if process.generation:
            self._holdings.give_reserve(process.slot, process.channel)
        self._succession.posted(process.slot, message.number, artifact, last=message.last)

    def _released(self, process: Process, message: messages.Released) -> None:
        current = [
            number
            for number, tenure in message.connections
            if self._holdings.is_current(number, tenure, process.slot)
        ]
        moved = self._holdings.movable(current)
        for number in set(current).difference(number for number, _ in moved):
            self._succession.assignment.contradicted(process.slot, number)
        self._succession.released(process.slot, moved, recalled=message.recalled)

    def _ready(self, process: Process, message: messages.Ready) -> None:
        if not self._is_loading(process):
            return
        if message.spill:
            length = message.length
            descriptor = self._holdings.spills.take(message.spill, process.slot, length)
            self._supervisor.execution.pin(process.generation, descriptor, length)
        # Dead already? Then it was never in charge, and its /init hears why.
        if not self._crew.ended(process):
            self._holdings.give_reserve(process.slot, process.channel)
            self._succession.ready(process.slot, message.digest, overlap=message.overlap)

    def _failed(self, process: Process, message: messages.Failed) -> None:
        if self._is_loading(process):
            self._succession.failed(process.slot, message.status, message.text)

    def _marked(self, process: Process, _: messages.Marked) -> None:
        self._succession.marked(process.slot)

    def _busy(self, _: Process, __: messages.Busy) -> None:
        self._ledger.ticking = True

    def _closed(self, _: Process, __: messages.Closed) -> None:
        """Do nothing: the sweep after every wait does what this message asks for."""

    def _discarded(self, process: Process, message: messages.Discarded) -> None:
        execution = self._supervisor.execution
        execution.discarded(process.slot, message.generation, rest=message.rest)

    def _pong(self, process: Process, _: messages.Pong) -> None:
        process.silent = False


def _trace() -> str:
    """Return the traceback of the error that is being handled."""
    import traceback  # seldom needed, and it imports ten other modules

    return traceback.format_exc()


HEARD: dict[type[messages.Message], Callable[..., None]] = {
    messages.Posted: Hearing._posted,
    messages.Released: Hearing._released,
    messages.Ready: Hearing._ready,
    messages.Failed: Hearing._failed,
    messages.Marked: Hearing._marked,
    messages.Busy: Hearing._busy,
    messages.Discarded: Hearing._discarded,
    messages.Closed: Hearing._closed,
    messages.Pong: Hearing._pong,
}
