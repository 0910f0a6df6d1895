"""
The supervisor: waits, tells `succession` what happened, and carries out what follows.

Single-threaded. It accepts, and keeps a duplicate of every connection, but never reads a byte
of one, never decodes an artifact and never runs user code; so it does not die of any of them,
and its memory stays clean enough to fork from.
"""

from __future__ import annotations

import os
import select
import socket
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotwhisk import contract, http1, messages
from hotwhisk.channel import ChannelClosed
from hotwhisk.contract import Cause, Profile, answer_for
from hotwhisk.crew import Crew, Process
from hotwhisk.debts import debt
from hotwhisk.effects import (
    AnswerFor, Artifact, Candidate, Debt, Discard, Drain, Effect, Fork, HandOver, Kill, LoadInto,
    Release, Reply, Shut, TakeBack, Tell,
)  # fmt: skip
from hotwhisk.ledger import MOVABLE, WORKERS, Ledger, Phase
from hotwhisk.succession import Policy, Succession

if TYPE_CHECKING:
    import _socket

    from hotwhisk.config import Config
    from hotwhisk.system import System

ACCEPTED_AT_ONCE = 64
"""Connections accepted before anything else is looked at."""


@dataclass(frozen=True, slots=True)
class Posted(Artifact):
    """
    The body of an ``/init``, in a memory file that the supervisor keeps for fresh workers.
    """

    descriptor: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Local(Artifact):
    """
    A file or a module on this machine, loaded where it is.
    """

    path: str
    module: bool
    main: str


class Supervisor:
    """
    One server. ``tell`` gets a line for each event; ``replied`` hears how replacements ended
    that did not come over HTTP.
    """

    def __init__(
        self,
        config: Config,
        listener: _socket.socket,
        system: System,
        capacity: int,
        folder: str,
    ) -> None:
        self.config = config
        self.profile = Profile.OPENWHISK if config.openwhisk else Profile.PLAIN
        self.system = system
        self.ledger = Ledger(capacity)
        self.folder = folder
        self.tell: Callable[[str], None] = lambda _: None
        self.replied: Callable[[Reply], None] = lambda _: None
        self.sockets: dict[int, int] = {}
        self.spills: dict[int, int] = {}
        self._listener: _socket.socket | None = listener
        self._free = deque(range(capacity))
        self._epoll = select.epoll()
        self._sources: dict[int, Callable[[], None]] = {}
        self.crew = Crew(system, config, self.ledger, lambda: None)
        policy = Policy(
            config.workers, config.crash_count, config.crash_window, self.profile
        )
        self.succession = Succession(policy, slots=WORKERS)
        self.assignment = self.succession.assignment
        self.watch(listener.fileno(), self._accept)

    # -- waiting ----------------------------------------------------------------------------

    def watch(self, descriptor: int, callback: Callable[[], None], events: int = 0) -> None:
        """
        Call back when a descriptor is readable.
        """
        self._epoll.register(descriptor, events or select.EPOLLIN)
        self._sources[descriptor] = callback

    def unwatch(self, descriptor: int) -> None:
        """
        Stop that.
        """
        if self._sources.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def wait(self, timeout: float | None) -> None:
        """
        Wait for something to happen, at most ``timeout`` seconds, and do what follows from it.
        """
        for descriptor, _ in self._epoll.poll(timeout):
            source = self._sources.get(descriptor)
            if source is not None:
                source()
                self.carry_out()
        self.sweep()

    def carry_out(self) -> None:
        """
        Carry out every decision there is, in order.
        """
        effects = self.succession.effects
        while effects:
            effect = effects.popleft()
            CARRY_OUT[type(effect)](self, effect)

    # -- connections ------------------------------------------------------------------------

    def _accept(self) -> None:
        assert self._listener is not None
        self.sweep()
        numbers: list[int] = []
        while self._free and len(numbers) < ACCEPTED_AT_ONCE:
            try:
                # The private method is the one that makes no object; socket.accept uses it too.
                descriptor, _ = self._listener._accept()  # type: ignore[attr-defined]
            except BlockingIOError:
                break
            except OSError:  # reset before it was accepted, or out of descriptors: try again
                break
            number = self._free.popleft()
            self.sockets[number] = descriptor
            self.ledger.open(number)
            numbers.append(number)
        self.assignment.accepted(numbers)
        if not self._free:
            self.unwatch(self._listener.fileno())
            self.ledger.attentive = True

    def accept_backlog(self) -> None:
        """
        Take what waits in the backlog, and close the port.
        """
        assert self._listener is not None
        before = -1
        while len(self.sockets) > before and self._free:
            before = len(self.sockets)
            self._accept()
            self.carry_out()
        self.unwatch(self._listener.fileno())
        self._listener.close()
        self._listener = None

    def sweep(self) -> None:
        """
        Let go of the connections that workers are done with.
        """
        closed = self.ledger.in_phase(Phase.CLOSED)
        for number in closed:
            self.assignment.closed(number)
            os.close(self.sockets.pop(number))
            self.ledger.set_phase(number, Phase.FREE)
            self._free.append(number)
        if closed and self._listener is not None and self._listener.fileno() not in self._sources:
            self.ledger.attentive = False
            self.watch(self._listener.fileno(), self._accept)

    def shut(self, number: int) -> None:
        """
        End a connection now; whoever holds it sees that.
        """
        with socket.socket(fileno=self.sockets[number]) as connection:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.detach()

    # -- workers ----------------------------------------------------------------------------

    def _hear(self, process: Process) -> None:
        """
        Read what a worker has to say.
        """
        try:
            while (received := process.channel.receive()) is not None:
                message, descriptors = received
                HEARD[type(message)](self, process, message, descriptors)
                self.carry_out()
        except ChannelClosed:
            self.unwatch(process.channel.fileno())

    def _bereaved(self, process: Process) -> None:
        """
        A worker died: hear its last words, then settle what it owed.
        """
        if not self.crew.ended(process):
            return
        self.unwatch(process.pidfd)
        self._hear(process)
        self.unwatch(process.channel.fileno())
        self.sweep()
        claimed = self.ledger.claimed(process.slot)
        debts = [
            (number, debt(self.ledger, number, self.sockets[number], claimed=number == claimed))
            for number in self.assignment.custody.held(process.slot)
        ]
        for number, owed in debts:
            if owed is Debt.NOTHING and self.ledger.phase(number) is Phase.ANSWERING:
                self.ledger.set_phase(number, Phase.IDLE)
        self.ledger.unclaim(process.slot)
        self.crew.bury(process)
        self._drop_spills_of(process)
        ending = process.ending
        assert ending is not None
        cause = Cause.KILLED if ending.signal else Cause.EXITED
        self.succession.died(process.slot, cause, str(ending), debts, self.system.now())

    def _drop_spills_of(self, process: Process) -> None:
        kept = {
            self.ledger.row(number).spill
            for phase in (Phase.WAITING, Phase.PARKED, Phase.LENT)
            for number in self.ledger.in_phase(phase)
        }
        for spill in process.spills - kept:
            os.close(self.spills.pop(spill))

    def _deposited(self, process: Process, message: messages.Deposit, rights: list[int]) -> None:
        self.spills[message.spill] = rights[0]
        process.spills.add(message.spill)

    def _dropped(self, process: Process, message: messages.Drop, _: list[int]) -> None:
        if message.spill in process.spills:
            process.spills.discard(message.spill)
            os.close(self.spills.pop(message.spill))

    def _posted(self, process: Process, message: messages.Posted, _: list[int]) -> None:
        process.spills.discard(message.spill)
        artifact = Posted(self.spills.pop(message.spill), message.offset, message.length)
        self.succession.posted(process.slot, message.number, artifact)

    def _released(self, process: Process, message: messages.Released, _: list[int]) -> None:
        moved = self._movable(process.slot, message.connections)
        self.succession.released(process.slot, moved, recalled=message.recalled)

    def _movable(self, slot: int, numbers: list[int]) -> list[tuple[int, bool]]:
        held = self.assignment.custody.held(slot)
        return [
            (number, phase is Phase.PARKED)
            for number in numbers
            if number in held and (phase := self.ledger.phase(number)) in MOVABLE
        ]

    def _ready(self, process: Process, message: messages.Ready, _: list[int]) -> None:
        # Dead already? Then it was never in charge, and its /init hears why.
        if not self.crew.ended(process):
            self.succession.ready(process.slot, message.digest, overlap=message.overlap)

    def _failed(self, process: Process, message: messages.Failed, _: list[int]) -> None:
        self.succession.failed(process.slot, message.status, message.text)

    def _busy(self, _: Process, __: messages.Busy, ___: list[int]) -> None:
        self.ledger.ticking = True

    def _nothing(self, _: Process, __: messages.Closed, ___: list[int]) -> None:
        """
        The sweep after every wait does what a `Closed` asks for.
        """

    def _pong(self, process: Process, _: messages.Pong, __: list[int]) -> None:
        process.silent = False

    def wait_for_deaths(self, processes: Iterable[Process], timeout: float) -> None:
        """
        Wait until one of the processes is dead, at most ``timeout`` seconds.
        """
        select.select([each.pidfd for each in processes], [], [], timeout)

    # -- effects ----------------------------------------------------------------------------

    def _fork(self, effect: Fork) -> None:
        process = self.crew.fork(effect.worker)
        self.watch(process.channel.fileno(), lambda: self._hear(process))
        self.watch(process.pidfd, lambda: self._bereaved(process))

    def _load(self, effect: LoadInto) -> None:
        process = self.crew.processes[effect.worker]
        process.generation, process.started = effect.generation, self.system.now()
        self.ledger.ticking = True
        artifact = effect.artifact
        if isinstance(artifact, Posted):
            folder = self.generation_folder(effect.generation)
            message = messages.Load(effect.generation, folder, artifact.offset, artifact.length)
            process.channel.send(message, (artifact.descriptor,))
        elif isinstance(artifact, Local):
            process.channel.send(
                messages.Load(
                    effect.generation, path=artifact.path, module=artifact.module,
                    main=artifact.main,
                )
            )  # fmt: skip

    def generation_folder(self, generation: int) -> str:
        """
        Where the archive of a generation is unpacked.
        """
        return f"{self.folder}/{generation}"

    def _hand(self, effect: HandOver) -> None:
        process = self.crew.processes[effect.worker]
        for at in range(0, len(effect.numbers), messages.HANDED_AT_ONCE):
            connections, rights = [], []
            for number in effect.numbers[at : at + messages.HANDED_AT_ONCE]:
                row = self.ledger.row(number)
                connections.append([number, row.spill, row.spilled])
                rights.append(self.sockets[number])
                if row.spill:
                    rights.append(self.spills[row.spill])
                    self._pass_on(row.spill, process)
            process.channel.send(messages.Hand(connections, effect.duty), rights)

    def _pass_on(self, spill: int, process: Process) -> None:
        for each in self.crew.processes.values():
            each.spills.discard(spill)
        process.spills.add(spill)

    def _take_back(self, effect: TakeBack) -> None:
        process = self.crew.processes[effect.worker]
        self.ledger.recall(process.slot)
        process.channel.send(messages.Recall(effect.leave))
        self.ledger.ticking = True
        if not self.system.has_barrier:
            return  # without it the claim proves nothing: wait for Released
        self.system.barrier()
        claimed = self.ledger.claimed(process.slot)
        held = [each for each in self.assignment.custody.held(process.slot) if each != claimed]
        self.assignment.taken(process.slot, self._movable(process.slot, held))

    def _kill(self, effect: Kill) -> None:
        self.crew.kill(effect.worker)

    def _answer_for(self, effect: AnswerFor) -> None:
        number = effect.number
        row = self.ledger.row(number)
        if row.spill:
            os.close(self.spills.pop(row.spill))
            self.ledger.spilled(number, 0, 0)
        # Were the desk to die now, the next one would find that an answer is owed.
        self.ledger.handling(number, self.system.now(), float("inf"), row.sent)
        status, text = answer_for(self.profile, effect.cause, effect.detail)
        process = self.crew.processes[effect.worker]
        process.channel.send(messages.Answer(number, status, text), (self.sockets[number],))

    def _shut(self, effect: Shut) -> None:
        self.shut(effect.number)
        self.ledger.set_phase(effect.number, Phase.CLOSED)

    def _reply(self, effect: Reply) -> None:
        number = effect.candidate.number
        if number is None:
            self.replied(effect)
        elif number in self.sockets:
            ok = effect.status == 200
            self._write(
                number, effect.status, contract.INIT_DONE if ok else contract.error_body(effect.text)
            )

    def _write(self, number: int, status: int, body: bytes) -> None:
        """
        Answer on a connection that no worker holds.
        """
        charge, row = self.succession.charge, self.ledger.row(number)
        header = b"Hotwhisk-Generation: %d %s\r\n" % (charge.number, charge.digest.encode())
        answer = http1.response_head(status, len(body), header) + body
        with socket.socket(fileno=self.sockets[number]) as connection:
            try:
                connection.send(answer, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            except OSError:
                pass  # the client is gone: whoever gets the connection finds out
            connection.detach()
        self.ledger.answering(number, row.sent + row.answer, len(answer))
        self.ledger.set_phase(number, Phase.WAITING if row.spill else Phase.IDLE)

    def _discard(self, effect: Discard) -> None:
        desk = self.crew.processes[self.succession.roster.desk]
        desk.channel.send(messages.Discard(self.generation_folder(effect.generation)))

    def _release(self, effect: Release) -> None:
        if isinstance(effect.artifact, Posted):
            os.close(effect.artifact.descriptor)

    def _drain(self, effect: Drain) -> None:
        self.crew.processes[effect.worker].channel.send(messages.Stop())

    def _tell(self, effect: Tell) -> None:
        self.tell(effect.text)


CARRY_OUT: dict[type[Effect], Callable[..., None]] = {
    Fork: Supervisor._fork,
    LoadInto: Supervisor._load,
    HandOver: Supervisor._hand,
    TakeBack: Supervisor._take_back,
    Kill: Supervisor._kill,
    AnswerFor: Supervisor._answer_for,
    Shut: Supervisor._shut,
    Reply: Supervisor._reply,
    Discard: Supervisor._discard,
    Release: Supervisor._release,
    Drain: Supervisor._drain,
    Tell: Supervisor._tell,
}

HEARD: dict[type[messages.Message], Callable[..., None]] = {
    messages.Deposit: Supervisor._deposited,
    messages.Drop: Supervisor._dropped,
    messages.Posted: Supervisor._posted,
    messages.Released: Supervisor._released,
    messages.Ready: Supervisor._ready,
    messages.Failed: Supervisor._failed,
    messages.Busy: Supervisor._busy,
    messages.Closed: Supervisor._nothing,
    messages.Pong: Supervisor._pong,
}


def local(config: Config) -> Candidate | None:
    """
    What a server was told to serve at once, if anything.
    """
    if config.module is not None:
        return Candidate(Local(config.module, True, config.main))
    if config.file is not None:
        return Candidate(Local(os.path.abspath(config.file), False, config.main))
    return None


__all__ = ["Cause", "Local", "Posted", "Supervisor", "local"]
