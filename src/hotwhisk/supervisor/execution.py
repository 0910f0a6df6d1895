"""
Carries out the decisions of `succession`, one effect at a time, in order.

The order is part of the decision: a replacement takes the connections back from every old
worker before its answer is written (promise 3), and hands them on after it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from hotwhisk import contract, messages
from hotwhisk.answers import LONGEST_DETAIL, Profile, answer_for
from hotwhisk.http1 import http1
from hotwhisk.ledger import IN_FLIGHT, Last
from hotwhisk.sentinels import BOTH
from hotwhisk.supervisor.artifacts import Local, Posted
from hotwhisk.supervisor.effects import (
    AnswerFor,
    Discard,
    Drain,
    Effect,
    EndTemplate,
    Fork,
    HandOver,
    Kill,
    LoadInto,
    Mark,
    Release,
    Reply,
    Shut,
    SpawnFrom,
    TakeBack,
    Tell,
)  # fmt: skip

if TYPE_CHECKING:
    from hotwhisk.supervisor.artifacts import Source
    from hotwhisk.supervisor.process import Process
    from hotwhisk.supervisor.supervisor import Supervisor


class Execution:
    """Carries out the decisions of a supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._holdings = supervisor.holdings
        self._ledger = supervisor.ledger
        self._crew = supervisor.crew
        self._load_began = 0.0
        self._told = ""
        self._discards: dict[int, int] = {}  # generation → the desk that was told

    def carry_out(self) -> None:
        """Carry out every decision, including those that follow, in the order of the queue."""
        effects = self._supervisor.succession.effects
        while effects:
            effect = effects.popleft()
            try:
                CARRY_OUT[type(effect)](self, effect)
            except OSError as error:
                self._give_up(effect, error)

    def _give_up(self, effect: Effect, error: OSError) -> None:
        """
        Give up an effect that the system refused, where no other code handles the error. If it was
        for a worker, the worker is killed, and its death settles the rest.
        """
        what = f"{type(effect).__name__}: {error.strerror}"
        worker = getattr(effect, "worker", None)
        if worker in self._crew.processes:
            self._supervisor.tell(f"a worker is ended: {what}")
            self._crew.kill(worker)
        else:
            self._supervisor.tell(f"the system refused what had to be done: {what}")

    # -- workers ----------------------------------------------------------------------------

    def _fork(self, effect: Fork) -> None:
        self._crew.conceive(effect.worker)
        self.bear()

    def bear(self) -> None:
        """
        Start the processes that are to be. Those that cannot be are tried again at the next
        tick; until then their orders wait in their channels, and everybody else goes on.
        """
        for process in self._crew.unborn():
            try:
                if not self._crew.resting:
                    self._crew.bear(process)
            except OSError as error:
                self._tell_once(f"no process can be started: {error.strerror}; trying again")
            if process.birth is not None:
                self._ledger.ticking = True
                return
            self._supervisor.hearing.attend(process)
        self._told = ""

    def _tell_once(self, text: str) -> None:
        if text != self._told:
            self._supervisor.tell(text)
        self._told = text

    def _load(self, effect: LoadInto) -> None:
        process, now = self._crew.processes[effect.worker], self._supervisor.system.now()
        process.generation, process.started = effect.generation, now
        process.ask(now)  # the answer says that the desk has begun
        self._ledger.ticking = True
        self._send_load(process, effect)
        if (each := self._supervisor.succession.candidate) and each.slot == effect.worker:
            self._load_began = now

    def _spawn(self, effect: SpawnFrom) -> None:
        template = self._crew.templates.get(effect.generation)
        try:
            if template is not None:
                self._crew.spawn(effect.worker, template)
                self._ledger.ticking = True  # because the template has a time limit
                return
        except OSError as error:
            self._tell_once(f"no process can be started: {error.strerror}; trying again")
        self._supervisor.succession.not_spawned(effect.worker)

    def _send_load(self, process: Process, effect: LoadInto) -> None:
        source, number = cast("Source", effect.artifact), effect.generation
        template = self._supervisor.succession.templates.trusts(number)
        folder = f"{self._folder(number)}/code"
        process.channel.send(*source.order(number, folder, template=template))

    def _folder(self, generation: int) -> str:
        return f"{self._supervisor.folder}/{generation}"

    def _kill(self, effect: Kill) -> None:
        self._crew.kill(effect.worker)

    def _end_template(self, effect: EndTemplate) -> None:
        self._crew.end_template(effect.generation)

    def _discard(self, effect: Discard) -> None:
        desk = self._supervisor.succession.roster.desk
        self._discards[effect.generation] = desk
        message = messages.Discard(effect.generation, self._folder(effect.generation))
        self._crew.processes[desk].channel.send(message)

    def discarded(self, slot: int, generation: int, *, rest: bool) -> None:
        """Record that a desk removed a folder; if a ``rest`` is left, the present desk goes on."""
        if self._discards.get(generation) == slot:
            del self._discards[generation]
            if rest:
                self._supervisor.succession.effects.append(Discard(generation))

    def undone_by(self, slot: int) -> list[int]:
        """Return the generations whose folders a dead desk may have failed to remove."""
        undone = [generation for generation, desk in self._discards.items() if desk == slot]
        self._discards = {each: desk for each, desk in self._discards.items() if desk != slot}
        return undone

    def _drain(self, effect: Drain) -> None:
        self._crew.processes[effect.worker].channel.send(messages.Stop())

    def _mark(self, effect: Mark) -> None:
        self._crew.processes[effect.worker].channel.send(messages.Mark(effect.text))

    # -- connections ------------------------------------------------------------------------

    def _hand_over(self, effect: HandOver) -> None:
        process = self._crew.processes[effect.worker]
        self._ledger.restore(effect.worker)
        detail = effect.detail[:LONGEST_DETAIL]
        for at in range(0, len(effect.numbers), messages.HANDED_AT_ONCE):
            connections: list[list[int]] = []
            rights: list[int] = []
            for number in effect.numbers[at : at + messages.HANDED_AT_ONCE]:
                if number not in self._holdings.sockets:
                    continue  # its connection has ended meanwhile
                unread = self._holdings.unread(number)
                if unread is None:
                    # No descriptor was free for the file with its unread bytes, or its worker named
                    # a file that it does not have.
                    self._supervisor.assignment.lost(number)
                    continue
                spill, length = unread
                tenure = self._holdings.begin_tenure(number, effect.worker)
                connections.append([number, tenure, spill, length])
                rights.append(self._holdings.sockets[number])
                if spill:
                    rights.append(self._holdings.spills.pass_on(spill, number, effect.worker))
            if connections:
                process.channel.send(messages.Hand(connections, effect.duty, detail), rights)

    def _take_back(self, effect: TakeBack) -> None:
        process = self._crew.processes[effect.worker]
        self._ledger.recall(process.slot)
        process.channel.send(messages.Recall(effect.leave))
        self._ledger.ticking = True
        if not self._supervisor.system.has_barrier:
            return  # without it the claim proves nothing: wait for Released
        self._supervisor.system.barrier()
        assignment = self._supervisor.assignment
        claimed = self._ledger.claimed(process.slot)
        held = (each for each in assignment.custody.held(process.slot) if each != claimed)
        moved = self._holdings.movable(held)
        self._supervisor.hearing.collect(process)
        assignment.taken(process.slot, moved)

    def _answer_for(self, effect: AnswerFor) -> None:
        number, supervisor = effect.number, self._supervisor
        if number not in self._holdings.sockets:
            return  # the connection has ended meanwhile
        supervisor.report.answered_for_the_dead += 1
        self._holdings.forget_spill_of(number)
        row = self._ledger.row(number)
        begun = self._ledger.phase(number) in IN_FLIGHT
        last = bool(row.last) or not begun
        # Were the desk to die now, the next one would find that an answer is owed.
        self._ledger.handling(number, supervisor.system.now(), float("inf"), row.sent)
        status, text = answer_for(supervisor.profile, effect.cause, effect.detail)
        if last:
            self._ledger.set_last(number, Last.READ_ON)  # also for the desk after this one
        owed = BOTH & ~row.ended if supervisor.profile is Profile.OPENWHISK and begun else 0
        self._ledger.ended(number, BOTH & ~owed)
        process = self._crew.processes[effect.worker]
        self._ledger.restore(effect.worker)
        tenure = self._holdings.begin_tenure(number, effect.worker)
        charge = supervisor.succession.charge
        generation = f"{charge.number} {charge.digest}"
        process.channel.send(
            messages.Answer(
                number, tenure, status, text, last=last, sentinels=owed, generation=generation
            ),
            (self._holdings.sockets[number],),
        )

    def _shut(self, effect: Shut) -> None:
        if effect.number in self._holdings.sockets:
            self._holdings.end(effect.number)

    # -- replacements -----------------------------------------------------------------------

    def _reply(self, effect: Reply) -> None:
        supervisor, candidate = self._supervisor, effect.candidate
        charge = supervisor.succession.charge
        seconds = 0.0
        if candidate.slot is not None:
            seconds = supervisor.system.now() - self._load_began
        # The report gives a refused version its own number, not that of the version in charge.
        number = charge.number if effect.status == 200 else candidate.generation or None
        supervisor.report.replaced(number, seconds, effect.text, rollback=candidate.rollback)
        if candidate.number is None:
            supervisor.replied(effect)
        elif candidate.number in self._holdings.sockets:
            ok = effect.status == 200
            body = contract.INIT_DONE if ok else contract.error_body(effect.text)
            header = b"Hotwhisk-Generation: %d %s\r\n" % (charge.number, charge.digest.encode())
            keep = not candidate.last
            head = http1.response_head(effect.status, len(body), header, keep_alive=keep)
            self._holdings.write(candidate.number, head + body)
            if candidate.last:
                self._holdings.end(candidate.number)

    def _release(self, effect: Release) -> None:
        cast("Source", effect.artifact).release()

    def pin(self, generation: int, descriptor: int, length: int) -> None:
        """Keep the local file that a worker read, for later workers of its generation."""
        succession = self._supervisor.succession
        charge, candidate = succession.charge, succession.candidate
        artifact = charge.artifact if charge.number == generation else None
        if candidate is not None and candidate.generation == generation:
            artifact = candidate.artifact
        if isinstance(artifact, Local) and artifact.content is None:
            artifact.content = Posted(descriptor, 0, length, self._crew.descriptors.close)
        else:
            os.close(descriptor)

    def _tell(self, effect: Tell) -> None:
        self._supervisor.tell(effect.text)


CARRY_OUT: dict[type[Effect], Callable[..., None]] = {
    Fork: Execution._fork,
    LoadInto: Execution._load,
    SpawnFrom: Execution._spawn,
    Kill: Execution._kill,
    Discard: Execution._discard,
    Drain: Execution._drain,
    Mark: Execution._mark,
    HandOver: Execution._hand_over,
    TakeBack: Execution._take_back,
    AnswerFor: Execution._answer_for,
    Shut: Execution._shut,
    Reply: Execution._reply,
    Release: Execution._release,
    Tell: Execution._tell,
    EndTemplate: Execution._end_template,
}
