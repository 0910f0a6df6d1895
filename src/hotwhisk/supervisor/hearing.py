"""
Hears the workers: what each says, and that it died; and tells `succession`.

The counterpart of `execution`, one method a message. What is heard is never taken on trust: the
channel is in reach of the action. And it may be late: a word about a connection bears its tenure.
"""

from __future__ import annotations

from collections.abc import Callable
from signal import SIGKILL
from typing import TYPE_CHECKING

from hotwhisk import messages
from hotwhisk.answers import Cause
from hotwhisk.channel import ChannelClosed, DescriptorsLost
from hotwhisk.messages import ProtocolError
from hotwhisk.supervisor.artifacts import Posted
from hotwhisk.supervisor.effects import Debt, Discard
from hotwhisk.supervisor.lifecycle import State
from hotwhisk.supervisor.nursery import Nursery

if TYPE_CHECKING:
    from hotwhisk.supervisor.crew import Process
    from hotwhisk.supervisor.supervisor import Supervisor
    from hotwhisk.system.offspring import Ending


class Hearing:
    """The ears of a supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._holdings = supervisor.holdings
        self._ledger = supervisor.ledger
        self._crew = supervisor.crew
        self._succession = supervisor.succession
        self._nursery = Nursery(supervisor)
        self._oom_kills = supervisor.system.oom_kills()

    def attend(self, process: Process) -> None:
        """Listen to a worker, and for its end."""
        supervisor, descriptor = self._supervisor, process.channel.fileno()
        supervisor.watch(descriptor, lambda: self.hear(process))
        supervisor.watch(process.pidfd, lambda: self._bereaved(process))
        # By number: a channel that held itself would not be freed with its worker.
        process.channel.on_backlog = lambda: supervisor.speak_on(descriptor)
        if process.channel.backlog:  # orders that came before it was born
            supervisor.speak_on(descriptor)

    def hear(self, process: Process) -> None:
        """Read what a worker has to say, and do what follows from it."""
        self.collect(process)
        while process.inbox:
            message = process.inbox.popleft()
            heard = HEARD.get(type(message))
            spill = getattr(message, "spill", 0)
            if heard is None or (spill and not self._holdings.has(spill)):
                self._expel(process, f"it said what it cannot mean: {message!r:.200}")
                return
            heard(self, process, message)
            self._supervisor.carry_out()

    def collect(self, process: Process) -> None:
        """
        Read what a worker has to say, and see to its deposits, and to a template, only.

        A worker deposits a memory file before the ledger names it. So whoever has read the
        ledger finds every file that it names, once this is done.
        """
        try:
            while (received := process.channel.receive()) is not None:
                message, descriptors = received
                if isinstance(message, messages.Deposit) and descriptors:
                    self._holdings.deposit(message.spill, descriptors[0], process.slot)
                elif isinstance(message, messages.Template):
                    self._nursery.adopt(process.generation, message, descriptors)
                else:
                    process.inbox.append(message)
        except ChannelClosed:  # no proof of its death: a child of the action may hold the end
            self._supervisor.unwatch(process.channel.fileno())
        except (ProtocolError, DescriptorsLost) as error:
            self._expel(process, str(error) or "descriptors were lost on the way")

    def _expel(self, process: Process, why: str) -> None:
        """The channel of a worker is in reach of its action: what is wrong there costs the worker."""
        self._supervisor.tell(f"worker {process.pid} is ended: {why}")
        self._supervisor.unwatch(process.channel.fileno())
        process.inbox.clear()
        self._crew.kill(process.slot)

    def _bereaved(self, process: Process) -> None:
        """A worker died: hear its last words, then settle what it owed."""
        if not self._crew.ended(process):
            return
        self._supervisor.unwatch(process.pidfd)
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
            if not self._succession.roster.of(generation):  # or it has come back meanwhile
                self._succession.effects.append(Discard(generation))

    def _report(self, process: Process, ending: Ending, debts: list[tuple[int, Debt]]) -> None:
        """Put a death into the status, unless the worker was told to leave."""
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

    def _dropped(self, _: Process, message: messages.Drop) -> None:
        self._holdings.drop(message.spill)

    def _posted(self, process: Process, message: messages.Posted) -> None:
        # Never stale: the worker claimed the connection, so it was not taken from it.
        descriptor = self._holdings.part_with(message.spill)
        artifact = Posted(descriptor, message.offset, message.length)
        self._succession.posted(process.slot, message.number, artifact, last=message.last)

    def _released(self, process: Process, message: messages.Released) -> None:
        current = [
            number
            for number, tenure in message.connections
            if self._holdings.is_current(number, tenure)
        ]
        moved = self._holdings.movable(current)
        self._succession.released(process.slot, moved, recalled=message.recalled)

    def _ready(self, process: Process, message: messages.Ready) -> None:
        if message.spill:
            descriptor = self._holdings.part_with(message.spill)
            self._supervisor.execution.pin(process.generation, descriptor, message.length)
        # Dead already? Then it was never in charge, and its /init hears why.
        if not self._crew.ended(process):
            self._succession.ready(process.slot, message.digest, overlap=message.overlap)

    def _failed(self, process: Process, message: messages.Failed) -> None:
        self._succession.failed(process.slot, message.status, message.text)

    def _marked(self, process: Process, _: messages.Marked) -> None:
        self._succession.marked(process.slot)

    def _busy(self, _: Process, __: messages.Busy) -> None:
        self._ledger.ticking = True

    def _closed(self, _: Process, __: messages.Closed) -> None:
        """The sweep that follows every wait does what this asks for."""

    def _discarded(self, _: Process, message: messages.Discarded) -> None:
        self._supervisor.execution.discarded(message.generation)

    def _pong(self, process: Process, _: messages.Pong) -> None:
        process.silent = False


HEARD: dict[type[messages.Message], Callable[..., None]] = {
    messages.Drop: Hearing._dropped,
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
