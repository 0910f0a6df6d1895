"""
Any order of events against `Rollout`, in a world of fake workers that obey late.

The world carries commands out as the supervisor does, at once and in order. Its workers are
separate: each has a queue of messages that it has not read, and one of messages that the supervisor
has not received, and it may die at any point. If a command may be refused, the world asserts. What
must hold after every step are the invariants at the end. Longer than other files, because neither
the world nor its rules can be understood alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hotwhisk.config.option import ProbationLimit
from hotwhisk.config.platform import Profile
from hotwhisk.ipc.messages import EndLog, EndTrial
from hotwhisk.ipc.scoreboard import IN_FLIGHT, MOVABLE, Phase
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.supervisor import commands, dispatcher
from hotwhisk.supervisor.commands import Candidate, Recovery
from hotwhisk.supervisor.generation import Policy
from hotwhisk.supervisor.rollout import Rollout
from hotwhisk.supervisor.trials import UNTRIED, Limits
from hotwhisk.supervisor.workers import RESERVED_SLOTS, State
from tests.unit.supervisor.test_comparison import counts

GOOD, BAD = counts(100), counts(500, failed=500)
SLOTS = RESERVED_SLOTS + 10
CONNECTIONS = 5


class Art(commands.Artifact):
    pass


@dataclass
class Ask:
    """A request: the oldest generation that may answer it, and whether all of it was sent."""

    init: bool
    floor: int
    whole: bool


@dataclass
class Client:
    phase: Phase = Phase.IDLE
    asks: deque[Ask] = field(default_factory=deque)
    half_sent: bool = False


@dataclass(eq=False)
class Process:
    slot: int
    generation: int = 0
    orders: deque[Any] = field(default_factory=deque)
    words: deque[tuple[Any, ...]] = field(default_factory=deque)
    recalls: int = 0  # as the supervisor wrote it
    seen: int = 0
    holds: dict[int, str] = field(default_factory=dict)  # connection → run_error
    epochs: dict[int, int] = field(default_factory=dict)
    busy: set[int] = field(default_factory=set)
    claim: int | None = None
    loading: bool = False
    pending: bool = False  # a template was ordered to fork it
    template: int = -1  # the slot of that template
    folder: int = 0
    leaving: bool = False
    stays: bool = False
    runs: int = 0
    tried: bool = False  # it is told to run copies, and not to end
    dead: bool = False

    @property
    def able(self) -> bool:
        return not self.dead and not self.loading and not self.pending

    def will_hold(self) -> set[int]:
        """Return what it holds when it has read its messages."""
        held = set(self.holds)
        for order in self.orders:
            if isinstance(order, commands.Recall):
                held &= self.busy | {self.claim}
            elif isinstance(order, tuple):
                assign = order[0]
                held |= set(
                    assign.numbers if isinstance(assign, commands.Assign) else [assign.number]
                )
        return held

    def refuses(self) -> set[int]:
        """Return the connections on which a spare answers, when it has read its messages."""
        run_errors = dict(self.holds)
        for order in self.orders:
            if isinstance(order, tuple) and isinstance(order[0], commands.Assign):
                run_errors.update(dict.fromkeys(order[0].numbers, order[0].run_error))
        return {number for number, run_error in run_errors.items() if run_error}


class World:
    """Everything outside `Rollout`."""

    def __init__(
        self,
        workers: int,
        most: int,
        profile: Profile,
        *,
        single_run: bool = False,
        keep_previous: bool = False,
    ) -> None:
        self.now = 0.0
        self.floor = 0
        self.clients: dict[int, Client] = {}
        self.numbers = deque(range(CONNECTIONS))
        self.epochs: dict[int, int] = {}
        self.last_epoch = 0
        self.processes: dict[int, Process] = {}
        self.templates: dict[int, int] = {}
        """The generation of each template, by slot."""
        self.killed_templates: set[int] = set()
        self.made: list[Art] = []
        self.released: list[Art] = []
        policy = Policy(
            workers,
            2,
            profile=profile,
            most_workers=most,
            single_run=single_run,
            probation=ProbationLimit(60.0),
            keep_previous=keep_previous,
        )
        self.rollout = Rollout(policy, SLOTS, has_claim=self.has_claim)
        self.owners = self.rollout.dispatcher.owners
        self.carry_out()

    def has_claim(self, slot: int) -> bool:
        return self.processes[slot].claim is not None

    def artifact(self) -> Art:
        self.made.append(Art())
        return self.made[-1]

    # -- the supervisor

    def carry_out(self) -> None:
        while self.rollout.commands:
            command = self.rollout.commands.popleft()
            getattr(self, "do_" + type(command).__name__.lower())(command)

    def do_startworker(self, command: commands.StartWorker) -> None:
        assert command.worker not in self.processes
        self.processes[command.worker] = Process(command.worker)

    def do_load(self, command: commands.Load) -> None:
        assert command.artifact not in self.released
        process = self.processes[command.worker]
        process.generation = process.folder = command.generation
        process.orders.append(command)

    def do_restore(self, command: commands.Restore) -> None:
        process = self.processes[command.worker]
        assert not self.owners.owned(command.worker)
        process.generation = command.generation
        process.orders.append(command)

    def do_spawn(self, command: commands.Spawn) -> None:
        generation = self.templates[command.template]
        assert command.worker not in self.processes
        process = Process(command.worker, generation, pending=True, loading=True)
        process.template, process.folder = command.template, generation
        self.processes[command.worker] = process

    def do_assign(self, command: commands.Assign) -> None:
        for number in command.numbers:
            assert self.clients[number].phase in MOVABLE
            assert self.owners.owner(number) == command.worker
        self.last_epoch += 1
        self.epochs.update(dict.fromkeys(command.numbers, self.last_epoch))
        self.processes[command.worker].orders.append((command, self.last_epoch))

    def do_recall(self, command: commands.Recall) -> None:
        process = self.processes[command.worker]
        process.recalls += 1
        process.orders.append(command)
        held = self.owners.owned(command.worker) - {process.claim}
        self.rollout.dispatcher.reclaimed(command.worker, self.movable(held))

    def do_kill(self, command: commands.Kill) -> None:
        if command.worker in self.templates:
            self.killed_templates.add(command.worker)
        else:
            self.processes[command.worker].dead = True

    def leave_template(self, process: Process) -> None:
        slot = self.rollout.template_ready(process.generation)
        if slot is not None:
            self.templates[slot] = process.generation

    def end_template(self, slot: int) -> None:
        """End a template: each worker that it was ordered to fork and has not forked is loaded."""
        del self.templates[slot]
        self.killed_templates.discard(slot)
        waiting = [
            each for each in self.processes.values() if each.pending and each.template == slot
        ]
        for process in waiting:
            del self.processes[process.slot]
        self.rollout.template_exited(slot, [each.slot for each in waiting])
        self.carry_out()

    def not_spawned(self, process: Process) -> None:
        del self.processes[process.slot]
        self.rollout.not_spawned(process.slot)
        self.carry_out()

    def do_senderror(self, command: commands.SendError) -> None:
        assert self.owners.owner(command.number) == command.worker
        client = self.clients[command.number]
        last = client.phase not in IN_FLIGHT  # some of what was sent may be lost
        client.phase = Phase.RUNNING
        self.last_epoch += 1
        self.epochs[command.number] = self.last_epoch
        self.processes[command.worker].orders.append((command, self.last_epoch, last))

    def do_closeconnection(self, command: commands.CloseConnection) -> None:
        client = self.clients[command.number]
        assert client.half_sent or client.phase is Phase.LINGERING
        self.close(command.number)

    def do_sendanswer(self, command: commands.SendAnswer) -> None:
        if command.status == 200:
            self.floor = self.rollout.current.number
            for process in self.processes.values():
                if process.generation != self.floor and not process.dead:
                    free = process.will_hold() - process.busy - {process.claim}
                    if self.rollout.policy.single_run and not process.generation:
                        free &= process.refuses()  # it parks what comes on the others
                    free = {each for each in free if self.clients[each].phase in MOVABLE}
                    assert not free, f"{process} may still read {free}"
        number = command.candidate.connection
        if number is not None:
            assert self.clients[number].phase is Phase.INIT_PENDING
            assert self.clients[number].asks.popleft().init
            self.clients[number].phase = Phase.BUFFERED if self.clients[number].asks else Phase.IDLE

    def do_removefolder(self, command: commands.RemoveFolder) -> None:
        alive = [each for each in self.processes.values() if each.folder == command.generation]
        assert not alive

    def do_releaseartifact(self, command: commands.ReleaseArtifact) -> None:
        assert command.artifact not in self.released
        assert command.artifact not in self.wanted()
        self.released.append(command.artifact)  # type: ignore[arg-type]

    def do_send(self, command: commands.Send) -> None:
        process = self.processes[command.worker]
        if isinstance(command.message, EndLog | EndTrial):
            process.orders.append(command)

    def do_begintrial(self, command: commands.BeginTrial) -> None:
        self.processes[command.worker].tried = True

    def do_offercopies(self, command: commands.OfferCopies) -> None:
        assert self.processes[command.worker].generation == self.rollout.current.number

    def do_closetrial(self, _: commands.CloseTrial) -> None:
        assert self.rollout.trials.trial is None

    def do_log(self, command: commands.Log) -> None:
        assert command.text

    def wanted(self) -> list[commands.Artifact | None]:
        rollout = self.rollout
        queued = [rollout.candidate, *rollout.waiting]
        return [
            rollout.current.artifact,
            *(each.artifact for each in rollout.history.contents()),
            *(each.artifact for each in queued if each is not None),
        ]

    def movable(self, numbers: Any) -> list[tuple[int, bool]]:
        there = [number for number in sorted(numbers) if number in self.clients]
        phases = [(number, self.clients[number].phase) for number in there]
        return [(number, phase is Phase.PARKED) for number, phase in phases if phase in MOVABLE]

    def receive(self, process: Process) -> None:
        kind, *words = process.words.popleft()
        if kind == "released":
            epochs, recalled = words
            moved = self.movable(each for each, epoch in epochs if self.epochs[each] == epoch)
            self.rollout.released(process.slot, moved, recalled=recalled)
        elif kind == "run_begun":
            (epochs,) = words
            moved = self.movable(each for each, epoch in epochs if self.epochs[each] == epoch)
            self.rollout.run_begun(process.slot, moved)
        elif kind == "ready":
            if not process.dead:
                self.rollout.ready(process.slot, "digest", overlap=False, trial=words[0])
        elif kind in ("compared", "ended"):
            getattr(self.rollout.trials, kind)(process.slot, *words)
        else:
            getattr(self.rollout, kind)(process.slot, *words)
        self.carry_out()

    def remove(self, process: Process) -> None:
        process.dead = True
        while process.words:
            self.receive(process)
        recoveries = [
            (each, self.recovery_for(process, each)) for each in self.owners.owned(process.slot)
        ]
        del self.processes[process.slot]
        self.rollout.exited(process.slot, Cause.KILLED, "signal 9", recoveries, self.now)
        self.carry_out()

    def recovery_for(self, process: Process, number: int) -> Recovery:
        client = self.clients[number]
        if client.phase is Phase.LINGERING or client.half_sent:
            return Recovery.CLOSE
        if client.phase in (Phase.RUNNING, Phase.RESPONDING):
            return Recovery.FAIL
        if process.claim == number:
            return Recovery.LOST
        return Recovery.QUEUE if client.phase is Phase.PARKED else Recovery.KEEP

    def close(self, number: int) -> None:
        del self.clients[number]
        self.numbers.append(number)
        self.rollout.dispatcher.owners.remove(number)

    # -- the workers

    def obey(self, process: Process) -> None:
        order = process.orders.popleft()
        if isinstance(order, commands.Load):
            process.loading = True
        elif isinstance(order, tuple) and isinstance(order[0], commands.Assign):
            assign, epoch = order
            assert not set(assign.numbers) & set(process.holds), "given twice"
            process.holds.update(dict.fromkeys(assign.numbers, assign.run_error))
            process.epochs.update(dict.fromkeys(assign.numbers, epoch))
        elif isinstance(order, tuple):
            self.failure_answer(process, *order)
        elif isinstance(order, commands.Send) and isinstance(order.message, EndTrial):
            process.tried = False
            process.words.append(("ended",))
        elif isinstance(order, commands.Send):
            process.words.append(("log_ended",))
        elif isinstance(order, commands.Restore):
            process.leaving = process.stays = False
        else:
            process.seen += 1
            process.leaving |= order.drain
            process.stays = order.keep
            self.give_back(process, sorted(set(process.holds) - process.busy), recalled=True)

    def obey_all(self, process: Process) -> None:
        while process.orders and process.able:
            self.obey(process)

    def failure_answer(
        self, process: Process, order: commands.SendError, epoch: int, last: bool
    ) -> None:
        number = order.number
        process.holds[number], process.epochs[number] = "", epoch
        self.answer(process, number, "error")
        if last:
            process.busy.add(number)
            self.clients[number].phase = Phase.LINGERING
        else:
            self.clients[number].phase = Phase.IDLE
            self.give_back(process, [number], recalled=False)

    def give_back(self, process: Process, numbers: list[int], *, recalled: bool) -> None:
        for number in numbers:
            del process.holds[number]
        epochs = [(number, process.epochs[number]) for number in numbers]
        process.words.append(("released", epochs, recalled))
        self.leave_if_done(process)

    def leave_if_done(self, process: Process) -> None:
        process.dead |= process.leaving and not process.stays and not process.holds

    def read(self, process: Process) -> None:
        """Read what was claimed: between the claim and this, anything may have happened."""
        assert process.claim is not None
        number = process.claim
        client = self.clients[number]
        if not client.asks[0].whole or process.recalls != process.seen:
            client.phase = Phase.BUFFERED
        elif client.asks[0].init:
            client.phase = Phase.INIT_PENDING
            del process.holds[number]
            process.words.append(("init_received", number, self.artifact()))
        elif process.generation and not (process.leaving and self.rollout.policy.single_run):
            client.phase = Phase.RUNNING
            process.runs += 1
            if self.rollout.policy.single_run:
                self.begin_only_run(process, number)
            return
        elif process.holds[number]:
            self.answer(process, number, process.holds[number])
            client.phase = Phase.IDLE
        else:
            client.phase = Phase.PARKED
            self.give_back(process, [number], recalled=False)
        self.unclaim(process)

    def begin_only_run(self, process: Process, number: int) -> None:
        assert process.runs == 1, "a second run in one process"
        process.leaving = True
        others = sorted(set(process.holds) - process.busy - {number})
        process.words.append(("run_begun", [(each, process.epochs[each]) for each in others]))
        for each in others:
            del process.holds[each]

    def answer(self, process: Process, number: int, what: str) -> None:
        ask = self.clients[number].asks.popleft()  # there is one, or it is a second answer
        if what in ("", Cause.NO_ACTION, Cause.LOAD_FAILED):
            assert process.generation >= ask.floor, "a stale answer"

    def answered(self, process: Process, number: int) -> None:
        process.busy.discard(number)
        client = self.clients[number]
        if client.phase is Phase.LINGERING:
            self.hang_up(process, number)
            return
        self.answer(process, number, "")
        client.phase, client.half_sent = Phase.IDLE, False
        if process.leaving:
            self.give_back(process, [number], recalled=False)
        self.unclaim(process)

    def hang_up(self, process: Process, number: int) -> None:
        del process.holds[number]
        self.close(number)
        self.leave_if_done(process)

    def unclaim(self, process: Process) -> None:
        process.claim = None
        if process.recalls != process.seen:
            self.obey_all(process)

    def claim(self, process: Process, number: int) -> None:
        if process.recalls != process.seen:
            self.obey_all(process)
        else:
            process.claim = number

    def readable(self, process: Process) -> list[int]:
        if process.claim is not None or not process.able:
            return []
        free = [each for each in process.holds if each not in process.busy]
        return [each for each in free if each in self.clients and self.clients[each].asks]

    def load(self, process: Process, *, ready: bool, trial: Limits = UNTRIED) -> None:
        process.loading = False
        process.words.append(("ready", trial) if ready else ("failed", 502, "no handler"))

    # -- until nothing happens any more

    def settle(self) -> None:
        """Let every client send all that it has to send, and every worker do all that it can."""
        for client in self.clients.values():
            for ask in client.asks:
                ask.whole = True
        for _ in range(100):
            for process in list(self.processes.values()):
                self.exert(process)
            self.rollout.trials.tick(100.0, 0.0, 60.0)
            self.now += 31
            self.tick()
            if self.is_quiet():
                return

    def is_quiet(self) -> bool:
        owners, rollout = self.owners, self.rollout
        if owners.waiting or owners.parked or owners.init_pending:
            return False
        if rollout.candidate or rollout.current.retry_at is not None:
            return False
        if rollout.probation.needs_ticks:
            return False
        return not any(
            each.orders or each.words or each.busy or each.loading or each.dead
            or each.claim is not None or self.readable(each)
            for each in self.processes.values()
        )  # fmt: skip

    def exert(self, process: Process) -> None:
        process.pending = False
        if process.loading:
            self.load(process, ready=True)
        if process.claim is not None and process.able:
            self.go_on(process)
        self.obey_all(process)
        for number in sorted(process.busy):
            if process.able and number in process.holds:
                self.answered(process, number)
        for number in self.readable(process):
            if number in self.readable(process):
                self.claim(process, number)
                if process.claim is not None:
                    self.go_on(process)
        if process.dead:
            self.remove(process)
        while process.words:
            self.receive(process)

    def go_on(self, process: Process) -> None:
        assert process.claim is not None
        if self.clients[process.claim].phase is not Phase.RUNNING:
            self.read(process)
        if process.claim is not None:
            self.answered(process, process.claim)

    def tick(self) -> None:
        self.rollout.end_pause(self.now)
        self.rollout.judge_probation(self.now, GOOD, GOOD)
        self.rollout.dispatcher.assign_waiting()
        self.rollout.dispatcher.give_to_spare()
        self.carry_out()


WHICH = st.integers(0, 7)


class Machine(RuleBasedStateMachine):
    """The events; each picks among what can happen, or does nothing if nothing can."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(dispatcher, "PARKED_LIMIT", 2)
        self.highest = 0

    @initialize(
        workers=st.integers(1, 3),
        further=st.integers(0, 2),
        profile=st.sampled_from(Profile),
        kind=st.sampled_from(["plain", "single_run", "keep_previous"]),
        generations=st.integers(0, 2),
        clients=st.integers(0, CONNECTIONS),
    )
    def begin(
        self,
        *,
        workers: int,
        further: int,
        profile: Profile,
        kind: str,
        generations: int,
        clients: int,
    ) -> None:
        special = {kind: True} if kind != "plain" else {}
        self.world = World(workers, workers + further, profile, **special)
        self.rollout = self.world.rollout
        for _ in range(generations):
            self.reload()
            self.world.settle()
        for _ in range(clients):
            self.accept()

    def pick(self, found: Any, which: int) -> Any:
        found = list(found)
        return found[which % len(found)] if found else None

    def alive(self) -> list[Process]:
        return [each for each in self.world.processes.values() if not each.dead]

    def handling(self) -> list[Process]:
        handling = Phase.RUNNING
        return [
            each
            for each in self.alive()
            if each.claim is not None and self.world.clients[each.claim].phase is handling
        ]

    # -- clients

    @rule()
    def accept(self) -> None:
        if self.world.numbers and not self.rollout.stopping:
            number = self.world.numbers.popleft()
            self.world.clients[number] = Client()
            self.rollout.dispatcher.accepted(number)
            self.world.carry_out()

    @rule(which=WHICH, init=st.booleans(), whole=st.booleans())
    def send(self, which: int, init: bool, whole: bool) -> None:
        client = self.pick(self.world.clients.values(), which)
        if client and len(client.asks) < 3 and all(each.whole for each in client.asks):
            client.asks.append(Ask(init, self.world.floor, whole))

    @rule(which=WHICH)
    def complete(self, which: int) -> None:
        asks = [ask for each in self.world.clients.values() for ask in each.asks if not ask.whole]
        if ask := self.pick(asks, which):
            ask.whole = True

    @rule(which=WHICH)
    def leave(self, which: int) -> None:
        found = [
            (process, number)
            for process in self.alive()
            for number in process.holds
            if process.able and process.claim is None and process.recalls == process.seen
            if number in process.busy or not self.world.clients[number].asks
        ]
        if one := self.pick(found, which):
            one[0].busy.discard(one[1])
            self.world.hang_up(*one)

    # -- workers

    @rule(which=WHICH)
    def obey(self, which: int) -> None:
        found = [each for each in self.alive() if each.able and each.orders and each.claim is None]
        if process := self.pick(found, which):
            self.world.obey(process)

    @rule(which=WHICH)
    def receive(self, which: int) -> None:
        found = [each for each in self.world.processes.values() if each.words]
        if process := self.pick(found, which):
            self.world.receive(process)

    @rule(which=WHICH)
    def claim(self, which: int) -> None:
        found = [(each, number) for each in self.alive() for number in self.world.readable(each)]
        if one := self.pick(found, which):
            self.world.claim(*one)

    @rule(which=WHICH)
    def read(self, which: int) -> None:
        found = [each for each in self.alive() if each.claim is not None]
        found = [each for each in found if each not in self.handling()]
        if process := self.pick(found, which):
            self.world.read(process)

    @rule(which=WHICH)
    def answer(self, which: int) -> None:
        if process := self.pick(self.handling(), which):
            self.world.answered(process, process.claim)

    @rule(which=WHICH, half=st.booleans())
    def answer_slow_reader(self, which: int, half: bool) -> None:
        if process := self.pick(self.handling(), which):
            client = self.world.clients[process.claim]
            client.phase, client.half_sent = Phase.RESPONDING, half
            process.busy.add(process.claim)
            self.world.unclaim(process)

    @rule(which=WHICH)
    def flush(self, which: int) -> None:
        free = [each for each in self.alive() if each.able and each.claim is None]
        found = [(each, number) for each in free for number in sorted(each.busy)]
        if one := self.pick(found, which):
            self.world.answered(*one)

    @rule(which=WHICH, ready=st.booleans(), tried=st.booleans())
    def load(self, which: int, ready: bool, tried: bool) -> None:
        found = [each for each in self.alive() if each.loading and not each.pending]
        if process := self.pick(found, which):
            trial = (2, 60) if tried and not self.rollout.policy.single_run else UNTRIED
            self.world.load(process, ready=ready, trial=trial)

    @rule(which=WHICH, difference=st.sampled_from(["", "", "a differs"]))
    def run_copy(self, which: int, difference: str) -> None:
        if process := self.pick([each for each in self.alive() if each.tried], which):
            process.words.append(("compared", difference))

    @rule(late=st.sampled_from([(61.0, 0.0), (1.0, 61.0)]))
    def end_trial(self, late: tuple[float, float]) -> None:
        self.rollout.trials.tick(*late, 60.0)
        self.world.carry_out()

    @rule(which=WHICH)
    def leave_template(self, which: int) -> None:
        found = [each for each in self.alive() if each.loading and not each.pending]
        if process := self.pick(found, which):
            self.world.leave_template(process)

    @rule(which=WHICH, forked=st.booleans())
    def spawn(self, which: int, forked: bool) -> None:
        found = [each for each in self.world.processes.values() if each.pending]
        if process := self.pick(found, which):
            if forked:
                process.pending = False
            else:
                self.world.not_spawned(process)

    @rule(which=WHICH)
    def end_template(self, which: int) -> None:
        if self.world.templates:
            self.world.end_template(self.pick(sorted(self.world.templates), which))

    @rule(which=WHICH)
    def die(self, which: int) -> None:
        found = [each for each in self.world.processes.values() if not each.pending]
        self.world.remove(self.pick(found, which))

    # -- the clock and the operator

    @rule(which=WHICH, event=st.sampled_from(["stuck", "run_timed_out"]))
    def late(self, which: int, event: str) -> None:
        if process := self.pick(self.handling(), which):
            words = (Cause.TIMED_OUT, "60 s") if event == "run_timed_out" else ()
            getattr(self.rollout, event)(process.slot, *words)
            self.world.carry_out()

    @rule(which=WHICH)
    def overdue(self, which: int) -> None:
        workers = self.rollout.workers.by_slot.values()
        loading = [each.slot for each in workers if each.state is State.LOADING]
        if loading:
            self.rollout.load_timed_out(self.pick(loading, which), "60 s")
            self.world.carry_out()

    @rule(needed=st.integers(1, 3))
    def grow(self, needed: int) -> None:
        self.rollout.scaling.grow(self.rollout.current, needed)
        self.world.carry_out()

    @precondition(lambda self: self.rollout.scaling.has_surplus(self.rollout.current))
    @rule(which=WHICH)
    def release(self, which: int) -> None:
        slot = self.pick(self.rollout.workers.serving, which)
        if slot is not None:
            self.rollout.scaling.drain(slot)
            self.world.carry_out()

    @rule(seconds=st.sampled_from([0.25, 12.0]))
    def tick(self, seconds: float) -> None:
        self.world.now += seconds
        self.world.tick()

    @rule()
    def reload(self) -> None:
        self.rollout.submit(Candidate(self.world.artifact()))
        self.world.carry_out()

    @rule(to=st.integers(0, 12))
    def roll_back(self, to: int) -> None:
        queue = [self.rollout.candidate, *self.rollout.waiting]
        possible = (
            self.rollout.history.target(to) is not None
            and not self.rollout.stopping
            and not any(each and each.rollback for each in queue)
        )
        assert self.rollout.roll_back(to=to) is possible
        self.world.carry_out()

    @rule(fails=st.booleans())
    def judge(self, fails: bool) -> None:
        self.rollout.judge_probation(self.world.now, BAD if fails else GOOD, GOOD)
        self.world.carry_out()

    @precondition(lambda self: self.rollout.current.number > 1)
    @rule()
    def stop(self) -> None:
        if not self.rollout.stopping:
            self.rollout.stop()
            self.world.carry_out()

    # -- invariants

    @invariant()
    def every_connection_has_one_holder(self) -> None:
        owners, processes = self.world.owners, self.world.processes
        held = [number for slot in processes for number in owners.owned(slot)]
        places = [*held, *owners.waiting, *owners.parked, *owners.init_pending]
        assert sorted(places) == sorted(self.world.clients)
        for process in self.alive():
            for number in process.will_hold():
                assert owners.owner(number) == process.slot

    @invariant()
    def the_workers_are_what_lives(self) -> None:
        workers = self.rollout.workers
        assert workers.by_slot.keys() == self.world.processes.keys() | self.world.templates.keys()
        assert workers[workers.spare].state is State.SPARE
        assert [each.slot for each in workers.by_slot.values() if each.state is State.SPARE] == [
            workers.spare
        ]
        assert len(workers._free) + len(workers.by_slot) == SLOTS

    @invariant()
    def templates_are_of_generations_that_may_need_workers(self) -> None:
        living = {each.generation for each in self.world.processes.values()}
        for slot, generation in self.world.templates.items():
            if slot not in self.world.killed_templates:
                assert generation in {self.rollout.current.number, *living}
                assert self.rollout.workers.templates.get(generation) == slot

    @invariant()
    def the_generation_never_goes_back(self) -> None:
        number = self.rollout.current.number
        assert number >= self.highest
        self.highest = number
        assert all(
            worker.generation == number
            for worker in self.rollout.workers.by_slot.values()
            if worker.state in (State.SERVING, State.BUSY)
        )

    @invariant()
    def at_most_the_candidate_is_on_trial(self) -> None:
        workers = self.rollout.workers.by_slot.values()
        tried = [each.slot for each in workers if each.state is State.TRIAL]
        trial, candidate = self.rollout.trials.trial, self.rollout.candidate
        assert tried == ([] if trial is None else [trial.slot])
        assert trial is None or candidate is trial.candidate

    @invariant()
    def every_artifact_is_wanted_or_released(self) -> None:
        unreceived = [word[2] for each in self.world.processes.values() for word in each.words
                   if word[0] == "init_received"]  # fmt: skip
        kept = {id(each) for each in [*self.world.wanted(), *unreceived]}
        for artifact in self.world.made:
            assert (id(artifact) in kept) is (artifact not in self.world.released)

    def teardown(self) -> None:
        self.patch.undo()
        if not hasattr(self, "world"):
            return
        self.world.settle()
        rollout = self.rollout
        assert not any(client.asks for client in self.world.clients.values()), "not answered"
        assert rollout.candidate is None
        assert not rollout.waiting
        assert not self.world.owners.init_pending
        current = [each for each in self.alive() if each.generation]
        assert {each.generation for each in current} <= {rollout.current.number}
        if not rollout.stopping:
            policy, there = rollout.policy, bool(rollout.current.artifact)
            assert policy.workers * there <= len(current) <= policy.most_workers * there
            assert len(self.world.processes) == len(current) + 1


TestRollout = Machine.TestCase
TestRollout.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
