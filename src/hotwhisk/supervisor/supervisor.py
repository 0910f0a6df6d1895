"""
The supervisor: waits, tells `succession` what happened, and has it carried out.

Single-threaded. It accepts, and keeps a duplicate of every connection, but never reads a byte
of one, never decodes an artifact and never runs user code; so it does not die of any of them,
and its memory stays clean enough to fork from.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM
from signal import SIGKILL
from typing import TYPE_CHECKING

from hotwhisk import messages
from hotwhisk.channel import ChannelClosed, DescriptorsLost
from hotwhisk.contract import Cause, Profile
from hotwhisk.ledger import WORKERS, Ledger
from hotwhisk.messages import UnknownMessage
from hotwhisk.supervisor.crew import Crew, Process
from hotwhisk.supervisor.effects import Debt, Discard, Reply
from hotwhisk.supervisor.execution import Execution, Posted
from hotwhisk.supervisor.generation import Policy
from hotwhisk.supervisor.holdings import Holdings
from hotwhisk.supervisor.lifecycle import State
from hotwhisk.supervisor.nursery import Nursery
from hotwhisk.supervisor.report import Report
from hotwhisk.supervisor.succession import Succession

if TYPE_CHECKING:
    import _socket

    from hotwhisk.config import Config
    from hotwhisk.system.system import System


class Supervisor:
    """
    One server of at most ``capacity`` connections, which unpacks below ``folder``. ``tell`` gets
    a line for each event; ``replied`` hears of replacements that did not come over HTTP.
    """

    def __init__(
        self, config: Config, listener: _socket.socket, system: System, capacity: int, folder: str
    ) -> None:
        self.config = config
        self.profile = Profile.OPENWHISK if config.openwhisk else Profile.PLAIN
        self.system = system
        self.folder = folder
        self.tell: Callable[[str], None] = lambda _: None
        self.replied: Callable[[Reply], None] = lambda _: None
        self.report = Report(system.now())
        self._oom_kills = system.oom_kills()
        self.ledger = Ledger(capacity)
        self.holdings = Holdings(self.ledger)
        self.crew = Crew(system, config, self.ledger)
        self.succession = Succession(
            Policy(
                config.workers,
                config.crash_count,
                config.crash_window,
                self.profile,
                config.reinit,
                config.log_init_error,
            ),
            WORKERS,
        )
        self.assignment = self.succession.assignment
        self._execution = Execution(self)
        self._nursery = Nursery(self)
        self._epoll = select.epoll()
        self._sources: dict[int, Callable[[], object]] = {}
        self._listener: _socket.socket | None = listener
        self.watch(listener.fileno(), self._accept)

    # -- waiting ----------------------------------------------------------------------------

    def watch(self, descriptor: int, callback: Callable[[], object]) -> None:
        """
        Call back when a descriptor is readable.
        """
        self._sources[descriptor] = callback
        self._epoll.register(descriptor, select.EPOLLIN)

    def unwatch(self, descriptor: int) -> None:
        """
        Stop that; no error if it was not watched.
        """
        if self._sources.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def wait(self, timeout: float | None) -> None:
        """
        Wait for something to happen, at most ``timeout`` seconds, and do what follows from it.
        """
        if any(process.inbox for process in self.crew.processes.values()):
            timeout = 0.0  # something was collected on the way, and is heard below
        for descriptor, events in self._epoll.poll(timeout):
            source = self._sources.get(descriptor)
            if source is None:
                continue  # forgotten by what came before it in this batch
            if events & select.EPOLLOUT:
                self._flush(descriptor)
            source()
            self.carry_out()
        for process in [each for each in self.crew.processes.values() if each.inbox]:
            self._hear(process)
        self._sweep()

    def wait_for_deaths(self, processes: Iterable[Process], timeout: float) -> None:
        """
        Wait until one of the processes is dead, at most ``timeout`` seconds.
        """
        poll = select.poll()  # not select(), which ends at descriptor 1023
        for each in processes:
            poll.register(each.pidfd, select.POLLIN)
        poll.poll(1000 * timeout)

    def carry_out(self) -> None:
        """
        Carry out every decision there is, then see to workers that are slow to listen.
        """
        self._execution.carry_out()
        for process in self.crew.processes.values():
            if process.channel.backlog and process.channel.fileno() in self._sources:
                self._epoll.modify(process.channel.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _flush(self, descriptor: int) -> None:
        for process in self.crew.processes.values():
            if process.channel.fileno() == descriptor:
                process.channel.flush()
                if not process.channel.backlog:
                    self._epoll.modify(descriptor, select.EPOLLIN)

    # -- connections ------------------------------------------------------------------------

    def _accept(self) -> bool:
        """
        Take one connection; False if none waits. Under load the next is taken after one more
        wait, which costs less than finding by an error that there is none.
        """
        assert self._listener is not None
        try:
            # The private method is the one that makes no object; socket.accept uses it too.
            descriptor, _ = self._listener._accept()  # type: ignore[attr-defined]
        except OSError as error:
            if error.errno in (EMFILE, ENFILE, ENOMEM, ENOBUFS):
                self.system.pause(0.01)  # it stays readable, and this would spin
            return False  # none is left, or it was reset while it waited
        self.assignment.accepted([self.holdings.admit(descriptor)])
        if self.holdings.full:
            self.unwatch(self._listener.fileno())
            self.ledger.attentive = True
            self.system.barrier()
            self._sweep()  # a worker that closed one before it could see that sent no word
        return True

    def accept_backlog(self) -> None:
        """
        Take what waits in the backlog, and close the port.
        """
        assert self._listener is not None
        while not self.holdings.full and self._accept():
            pass
        self.unwatch(self._listener.fileno())
        self._listener.close()
        self._listener = None

    def _sweep(self) -> None:
        closed = self.holdings.sweep()
        for number in closed:
            self.assignment.closed(number)
        if closed and self._listener is not None and self._listener.fileno() not in self._sources:
            self.ledger.attentive = False
            self.watch(self._listener.fileno(), self._accept)

    # -- workers ----------------------------------------------------------------------------

    def attend(self, process: Process) -> None:
        """
        Listen to a worker, and for its end.
        """
        self.watch(process.channel.fileno(), lambda: self._hear(process))
        self.watch(process.pidfd, lambda: self._bereaved(process))

    def bear(self) -> None:
        """
        Start the workers that could not be started before.
        """
        self._execution.bear()

    def _hear(self, process: Process) -> None:
        """
        Read what a worker has to say, and do what follows from it.
        """
        self.collect(process)
        while process.inbox:
            message = process.inbox.popleft()
            heard = HEARD.get(type(message))
            spill = getattr(message, "spill", 0)
            if heard is None or (spill and not self.holdings.has(spill)):
                self._expel(process, f"it said what it cannot mean: {message!r:.200}")
                return
            heard(self, process, message)
            self.carry_out()

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
                    self.holdings.deposit(message.spill, descriptors[0], process.slot)
                elif isinstance(message, messages.Template):
                    self._nursery.adopt(process.generation, message, descriptors)
                else:
                    process.inbox.append(message)
        except ChannelClosed:  # no proof of its death: a child of the action may hold the end
            self.unwatch(process.channel.fileno())
        except (UnknownMessage, DescriptorsLost) as error:
            self._expel(process, str(error) or "descriptors were lost on the way")

    def _expel(self, process: Process, why: str) -> None:
        """
        The channel of a worker is in reach of its action: what is wrong there costs the worker.
        """
        self.tell(f"worker {process.pid} is ended: {why}")
        self.unwatch(process.channel.fileno())
        process.inbox.clear()
        self.crew.kill(process.slot)

    def _bereaved(self, process: Process) -> None:
        """
        A worker died: hear its last words, then settle what it owed.
        """
        if not self.crew.ended(process):
            return
        self.unwatch(process.pidfd)
        self._hear(process)
        self.unwatch(process.channel.fileno())
        self._sweep()
        held = self.assignment.custody.held(process.slot)
        debts = self.holdings.debts(held, self.ledger.claimed(process.slot))
        self.ledger.unclaim(process.slot)
        self.crew.bury(process)
        self.holdings.bury(process.slot)
        ending, now = process.ending, self.system.now()
        assert ending is not None
        worker = self.succession.roster[process.slot]
        told_to = worker.state is State.RETIRED or (
            worker.state is State.DOOMED and worker.doom is None
        )
        if not told_to:
            owed = sum(each is Debt.ANSWER for _, each in debts)
            self.report.died(process.pid, process.generation, str(ending), owed=owed)
        kills, self._oom_kills = self._oom_kills, self.system.oom_kills()
        if ending.signal == SIGKILL and self._oom_kills > kills:
            cause = Cause.OUT_OF_MEMORY
        else:
            cause = Cause.KILLED if ending.signal else Cause.EXITED
        self.succession.died(process.slot, cause, str(ending), debts, now)
        undone = self._execution.undone_by(process.slot)
        self.succession.effects.extend(map(Discard, undone))

    def _dropped(self, _: Process, message: messages.Drop) -> None:
        self.holdings.drop(message.spill)

    def _posted(self, process: Process, message: messages.Posted) -> None:
        # Never stale: the worker claimed the connection, so it was not taken from it.
        descriptor = self.holdings.part_with(message.spill)
        artifact = Posted(descriptor, message.offset, message.length)
        self.succession.posted(process.slot, message.number, artifact, last=message.last)

    def _released(self, process: Process, message: messages.Released) -> None:
        current = [
            number
            for number, tenure in message.connections
            if self.holdings.is_current(number, tenure)
        ]
        moved = self.holdings.movable(current)
        self.succession.released(process.slot, moved, recalled=message.recalled)

    def _ready(self, process: Process, message: messages.Ready) -> None:
        if message.spill:
            descriptor = self.holdings.part_with(message.spill)
            self._execution.pin(process.generation, descriptor, message.length)
        # Dead already? Then it was never in charge, and its /init hears why.
        if not self.crew.ended(process):
            self.succession.ready(process.slot, message.digest, overlap=message.overlap)

    def _failed(self, process: Process, message: messages.Failed) -> None:
        self.succession.failed(process.slot, message.status, message.text)

    def _busy(self, _: Process, __: messages.Busy) -> None:
        self.ledger.ticking = True

    def _closed(self, _: Process, __: messages.Closed) -> None:
        """
        The sweep that follows every wait does what this asks for.
        """

    def _discarded(self, _: Process, message: messages.Discarded) -> None:
        self._execution.discarded(message.generation)

    def _pong(self, process: Process, _: messages.Pong) -> None:
        process.silent = False


HEARD: dict[type[messages.Message], Callable[..., None]] = {
    messages.Drop: Supervisor._dropped,
    messages.Posted: Supervisor._posted,
    messages.Released: Supervisor._released,
    messages.Ready: Supervisor._ready,
    messages.Failed: Supervisor._failed,
    messages.Busy: Supervisor._busy,
    messages.Discarded: Supervisor._discarded,
    messages.Closed: Supervisor._closed,
    messages.Pong: Supervisor._pong,
}
