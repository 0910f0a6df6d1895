"""
Scripted histories: the decisions of a server, event by event, and their order.

Longer than other files, because all histories use one `Server`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import pytest

from hotwhisk.config.platform import Profile
from hotwhisk.ipc.messages import EndLog
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.supervisor import commands
from hotwhisk.supervisor.commands import Artifact, Candidate, Recovery
from hotwhisk.supervisor.generation import RETRY_FIRST, Policy
from hotwhisk.supervisor.history import Content, Version
from hotwhisk.supervisor.rollout import REPLACEMENTS_WAITING, Rollout
from hotwhisk.supervisor.workers import State


class Named(Artifact):
    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name


def shown(command: commands.Command) -> str:
    """Return a command as a history writes it: "Assign 0 (1, 2)"."""
    match command:
        case commands.SendAnswer():
            return f"SendAnswer {command.candidate.artifact} {command.status}"
        case commands.SendError():
            return f"SendError {command.worker} {command.number} {command.cause}"
        case commands.Recall():
            how = " keep" if command.keep else " leave" if command.drain else ""
            return f"Recall {command.worker}{how}"
        case commands.Log():
            return f"Log {command.text}"
        case commands.RemoveFolder():
            return f"RemoveFolder {command.generation}"
        case commands.Send():
            message = command.message
            words = [str(getattr(message, name)) for name in message.fields]
            return " ".join([type(message).__name__, str(command.worker), *words])
    words = [str(getattr(command, name)) for name in type(command).fields]
    return " ".join([type(command).__name__, *words]).rstrip()


def in_one_assignment(history: list[str]) -> list[str]:
    """Join `Assign`s that follow each other: whether there are one or several does not matter."""
    joined: list[str] = []
    for each in history:
        match = re.fullmatch(r"(Assign \d+) \((.*?),?\)(.*)", each)
        before = re.fullmatch(r"(Assign \d+) \((.*?),?\)(.*)", joined[-1]) if joined else None
        if match and before and (match[1], match[3]) == (before[1], before[3]):
            joined[-1] = f"{match[1]} ({before[2]}, {match[2]}){match[3]}"
        else:
            joined.append(each)
    return joined


class Server:
    """
    A rollout whose workers release at once what they do not ``touch``.

    The first spare is in slot 0, the next in slot 1, and so on: slots are used again only after 64
    forks.
    """

    def __init__(self, workers: int = 1, policy: Policy | None = None) -> None:
        policy = policy or Policy(workers, crash_count=3, crash_window=10.0)
        self.rollout = Rollout(policy, 64)
        self.owners = self.rollout.dispatcher.owners
        self.touched: set[int] = set()
        self.parked: set[int] = set()
        self.now = 0.0
        self.did()

    @property
    def spare(self) -> int:
        return self.rollout.workers.spare

    def state(self, slot: int) -> State:
        return self.rollout.workers[slot].state

    def did(self) -> list[str]:
        """Return the commands since the last call, and carry them out."""
        done = []
        while self.rollout.commands:
            command = self.rollout.commands.popleft()
            done.append(shown(command))
            if isinstance(command, commands.Recall):
                moved = sorted(self.owners.owned(command.worker) - self.touched)
                pairs = [(number, number in self.parked) for number in moved]
                self.rollout.dispatcher.reclaimed(command.worker, pairs)
            if isinstance(command, commands.RemoveFolder):
                self.rollout.jobs.folder_removed(command.worker, command.generation, rest=False)
        return in_one_assignment([each for each in done if not each.startswith("StartWorker")])

    def accept(self, *numbers: int) -> list[str]:
        for number in numbers:
            self.rollout.dispatcher.accepted(number)
        return self.did()

    def post(self, name: str, number: int | None = None) -> list[str]:
        """Post an /init on connection ``number``; without a number it is the operator's."""
        if number is None:
            self.rollout.submit(Candidate(Named(name)))
        else:
            holder = self.owners.owner(number)
            assert holder is not None
            self.rollout.init_received(holder, number, Named(name))
        return self.did()

    def ready(self, slot: int) -> list[str]:
        self.rollout.ready(slot, "digest", overlap=False)
        return self.did()

    def serve(self, name: str) -> int:
        """Make a version current; return the slot of its first worker."""
        slot = self.spare
        self.post(name)
        self.ready(slot)
        return slot

    def die(self, slot: int, *recoveries: tuple[int, Recovery], after: float = 0.0) -> list[str]:
        self.now += after
        known = {number for number, _ in recoveries}
        rest = [(each, Recovery.KEEP) for each in self.owners.owned(slot) if each not in known]
        self.touched -= known
        self.rollout.exited(slot, Cause.KILLED, "signal 9", [*recoveries, *rest], self.now)
        return [each for each in self.did() if not each.startswith("Log")]

    def release(self, slot: int, *numbers: int, recalled: bool = True) -> list[str]:
        self.touched -= set(numbers)
        pairs = [(number, number in self.parked) for number in numbers]
        self.rollout.released(slot, pairs, recalled=recalled)
        return self.did()


# -- a replacement


def test_a_replacement_step_by_step() -> None:
    server = Server()
    first = server.serve("A")
    assert server.accept(1, 2, 3) == ["Assign 0 (1, 2, 3)"]
    server.touched.add(3)  # in the handler
    assert server.post("B", 1) == ["Load 1 2 B"]
    assert server.accept(4) == ["Assign 0 (4,)"]
    # Everything is recalled before the answer; nothing is assigned before it.
    assert server.ready(1) == [
        "Recall 0 leave", "Log generation 2 is current (digest…)", "SendAnswer B 200",
        "Assign 1 (1, 2, 4)",
    ]  # fmt: skip
    assert server.state(first) is State.DRAINING
    assert server.owners.owned(first) == {3}
    assert server.release(first, 3, recalled=False) == ["Assign 1 (3,)"]
    assert server.die(first) == ["RemoveFolder 1"]
    assert server.rollout.current.number == 2


@pytest.mark.parametrize(("posted", "told"), [(True, True), (False, False)])
def test_the_first_version_is_told_of_unless_the_banner_does(posted: bool, told: bool) -> None:
    server = Server()
    server.accept(1)
    server.post("A", 1 if posted else None)
    assert ("Log generation 1 is current (digest…)" in server.ready(0)) is told


def test_old_workers_and_the_spare_release_before_the_answer_and_assign_follows() -> None:
    server = Server()
    server.serve("A")
    server.accept(1, 2)
    server.touched.add(1)
    server.rollout.stuck(0)
    server.did()
    server.rollout.dispatcher.give_to_spare()
    server.accept(3)
    server.rollout.dispatcher.give_to_spare()
    spare = server.spare
    assert server.did() == [f"Assign {spare} (3,)"]
    server.post("B", 3)  # the spare loads it, so the next spare reads the connections that it had
    server.rollout.dispatcher.give_to_spare()
    server.did()
    next_spare = server.spare
    done = server.ready(spare)
    answer = done.index("SendAnswer B 200")
    assert {"Recall 0 leave", f"Recall {next_spare}"} <= set(done[:answer])
    assert [each for each in done[answer:] if "Assign" in each]
    assert all(f"Assign {spare} " in each for each in done[answer + 1 :])
    assert server.owners.owned(spare) == {2, 3}


FAILURES: dict[str, tuple[Callable[[Server, int], object], str]] = {
    "failed": (lambda server, slot: server.rollout.failed(slot, 502, "no handler"), "no handler"),
    "overdue": (lambda server, slot: server.rollout.load_timed_out(slot, "60 s"), "not ready within"),
    "died": (
        lambda server, slot: server.rollout.exited(slot, Cause.KILLED, "signal 9", [], 0.0),
        "ended by signal 9 while it was loaded",
    ),
    "starved": (
        lambda server, slot: server.rollout.exited(slot, Cause.OUT_OF_MEMORY, "signal 9", [], 0.0),
        "ended by signal 9, as memory ran out, while it was loaded",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", FAILURES)
@pytest.mark.parametrize("first", [True, False])
def test_a_version_that_does_not_come_up_changes_nothing(how: str, first: bool) -> None:
    server = Server()
    if not first:
        server.serve("A")
    server.accept(1)
    before, slot = server.owners.owner(1), server.spare
    current = server.rollout.current
    server.post("B", 1)
    happen, text = FAILURES[how]
    happen(server, slot)
    answers = [each for each in server.rollout.commands if isinstance(each, commands.SendAnswer)]
    assert [text in each.text for each in answers] == [True]
    done = server.did()
    assert "ReleaseArtifact B" in done
    assert "SendAnswer B 502" in done
    dead = how in ("died", "starved")
    assert ("Kill" in " ".join(done)) is not dead
    assert server.rollout.current is current
    assert server.rollout.candidate is None
    assert server.owners.owner(1) == (server.spare if first else before)
    if not dead:
        assert server.die(slot) == [f"RemoveFolder {1 if first else 2}"]


@pytest.mark.parametrize("how", ["overdue", "died", "starved"])
@pytest.mark.parametrize("logged", [True, False])
def test_the_platforms_log_says_why_or_the_answer_does(how: str, logged: bool) -> None:
    policy = Policy(profile=Profile.OPENWHISK, log_init_error=logged)
    server = Server(policy=policy)
    server.accept(1)
    slot = server.spare
    server.post("A", 1)
    FAILURES[how][0](server, slot)
    sent = [each for each in server.rollout.commands if isinstance(each, commands.Send)]
    marks = [each.message.text for each in sent if isinstance(each.message, EndLog)]
    why = {
        "overdue": "not initialize within 60 s",
        "died": "Command exited abruptly during initialization.",
        "starved": "Command exited abruptly during initialization. The memory was exhausted.",
    }[how]
    if logged:
        assert not [each for each in server.did() if each.startswith("SendAnswer")]
        server.rollout.log_ended(server.spare)
    (answer,) = (each for each in server.rollout.commands if isinstance(each, commands.SendAnswer))
    if logged:
        assert answer.text == "Cannot start action. Check logs for details."
        assert [why in text for text in marks] == [True]
    else:
        assert answer.text.startswith("cannot start action: ")
        assert why in answer.text
        assert marks == []


def test_who_waits_for_a_log_is_answered_when_no_spare_can_end_it() -> None:
    server = Server(policy=Policy(profile=Profile.OPENWHISK))
    server.accept(1)
    loading, number = server.spare, 1
    server.post("A", number)
    server.die(loading)
    assert server.owners.owner(number) is None
    spare = server.spare
    assert server.die(spare) == [
        "SendAnswer A 502",
        f"Assign {server.spare} (1,) load-failed Cannot start action. Check logs for details.",
    ]


def test_a_further_worker_that_is_overdue_ends_no_activation() -> None:
    server = Server(policy=Policy(profile=Profile.OPENWHISK))
    server.serve("A")
    server.die(0)
    FAILURES["overdue"][0](server, 1)
    assert not [each for each in server.rollout.commands if isinstance(each, commands.Send)]


@pytest.mark.parametrize("then", ["ready", "failed", "overdue"])
def test_messages_of_a_killed_worker_mean_nothing(then: str) -> None:
    server = Server()
    slot = server.spare
    server.post("A")
    server.rollout.failed(slot, 502, "no handler")
    server.did()
    if then == "ready":
        assert server.ready(slot) == []
    else:
        FAILURES[then][0](server, slot)
        assert server.did() == []
    assert server.rollout.current.number == 0


def test_a_candidate_that_dies_after_it_became_current_is_a_crash_not_a_failure() -> None:
    server = Server()
    server.serve("A")
    server.accept(1)
    assert server.die(0) == ["Load 1 1 A"]
    assert list(server.owners.waiting) == [1]
    assert server.ready(1) == ["Assign 1 (1,)"]


def test_the_spare_that_dies_while_a_candidate_loads_is_replaced() -> None:
    server = Server()
    server.accept(1)
    server.post("A")
    spare = server.spare
    # It waits for FILE of the start; the next spare need not answer it.
    assert server.die(spare) == []
    assert server.ready(0)[-1] == "Assign 0 (1,)"
    assert server.owners.owner(1) == 0


# -- the queue


def test_inits_wait_their_turn_and_the_queue_has_an_end() -> None:
    server = Server()
    server.post("first")
    for number in range(REPLACEMENTS_WAITING):
        assert server.post(f"B{number}") == []
    assert server.post("late") == ["ReleaseArtifact late", "SendAnswer late 503"]
    done = server.ready(0)
    assert done.index("SendAnswer first 200") < done.index("Load 1 2 B0")
    server.rollout.failed(1, 502, "no handler")
    assert server.did()[-1] == "Load 2 3 B1"
    assert server.rollout.current.number == 1
    server.ready(2)
    assert server.rollout.current.number == 3


def test_each_replacement_that_waits_has_room_for_its_workers() -> None:
    server = Server(workers=8)
    server.post("first")
    refused = 0
    for number in range(REPLACEMENTS_WAITING):
        refused += f"SendAnswer B{number} 503" in server.post(f"B{number}")
    for _ in range(REPLACEMENTS_WAITING - refused + 1):  # all old workers are in their handlers
        candidate = server.rollout.candidate
        assert candidate is not None
        assert candidate.slot is not None
        server.ready(candidate.slot)
    assert server.rollout.candidate is None
    assert refused


def test_a_late_recruit_of_an_old_version_says_nothing_of_the_template_current() -> None:
    server = Server(workers=2)
    recruit = server.spare + 1
    server.serve("A")
    assert server.state(recruit) is State.LOADING
    candidate = server.spare
    server.post("B")
    assert server.rollout.template_ready(2)
    server.ready(candidate)
    server.rollout.failed(recruit, 502, "no handler")
    assert server.did() == [f"Kill {recruit}", "Log a fresh worker did not come up: no handler"]
    assert server.rollout.workers.banned < 2


def test_a_further_worker_that_does_not_load_is_no_crash_loop_while_another_serves() -> None:
    server = Server(workers=2)
    recruit = server.spare + 1
    server.serve("A")
    server.rollout.failed(recruit, 502, "no handler")
    server.did()
    server.rollout.exited(recruit, Cause.KILLED, "signal 9 (SIGKILL)", (), 0.0)
    assert f"Log the others serve; next attempt to start one in {RETRY_FIRST:g} s" in server.did()
    assert not server.rollout.current.crashes
    assert server.rollout.current.retry_at == RETRY_FIRST


def test_only_the_artifact_before_is_kept() -> None:
    server = Server()
    server.serve("A")
    server.serve("B")
    slot = server.spare
    server.post("C")
    assert "ReleaseArtifact A" in server.ready(slot)
    before = server.rollout.history.previous()
    assert before is not None
    assert str(before.content.artifact) == "B"


def test_an_init_on_a_connection_of_another_worker_is_ignored() -> None:
    server = Server(workers=1)
    server.serve("A")
    server.accept(1)
    server.rollout.init_received(server.spare, 1, Named("B"))
    assert server.did() == ["ReleaseArtifact B"]
    assert server.owners.owner(1) == 0


# -- several workers


def test_the_first_becomes_current_and_the_others_follow() -> None:
    server = Server(workers=3)
    server.accept(1, 2, 3, 4)
    server.post("A")
    assert "SendAnswer A 200" in (done := server.ready(0))
    assert [each for each in done if "Load" in each] == ["Load 1 1 A", "Load 2 1 A"]
    server.ready(1)
    server.ready(2)
    server.accept(5, 6)
    assert [server.owners.count(slot) for slot in (0, 1, 2)] == [2, 2, 2]


def test_a_further_worker_that_is_ready_too_late_drains() -> None:
    server = Server(workers=2)
    server.serve("A")  # slot 1 still loads
    slot = server.spare
    server.post("B")
    server.ready(slot)
    assert server.ready(1) == ["Recall 1 leave"]
    assert server.state(1) is State.DRAINING


def test_a_stuck_worker_gives_to_its_sibling_and_gets_some_back() -> None:
    server = Server(workers=2)
    server.serve("A")
    server.ready(1)
    server.accept(1, 2, 3, 4)
    server.touched.add(1)
    server.rollout.stuck(0)
    server.did()
    assert server.owners.owned(0) == {1}
    assert server.owners.owned(1) == {2, 3, 4}
    server.release(0, 1)
    assert server.state(0) is State.SERVING
    assert server.accept(5) == ["Assign 0 (5,)"]


def test_the_only_worker_is_stuck_then_free() -> None:
    server = Server()
    server.serve("A")
    server.accept(1, 2)
    server.touched.add(1)
    server.rollout.stuck(0)
    assert server.did() == ["Recall 0"]
    assert list(server.owners.waiting) == [2]
    server.rollout.dispatcher.give_to_spare()
    assert server.did() == ["Assign 1 (2,)"]
    server.parked.add(2)
    server.release(1, 2, recalled=False)
    assert list(server.owners.parked) == [2]
    assert "Assign 0 (2, 1)" in server.release(0, 1)


def test_a_run_past_its_deadline_costs_its_worker_and_is_told_why() -> None:
    server = Server()
    server.serve("A")
    server.accept(1, 2)
    server.rollout.run_timed_out(0, Cause.TIMED_OUT, "60 s")
    server.rollout.run_timed_out(0, Cause.TIMED_OUT, "60 s")
    assert server.did() == ["Kill 0"]
    spare = server.spare
    done = server.die(0, (1, Recovery.FAIL))
    assert done == [f"SendError {spare} 1 timed-out", f"Recall {spare}", f"Load {spare} 1 A"]
    assert not server.rollout.current.crashes


# -- crash loops and roll-backs


def crash(server: Server, times: int, after: float = 0.0) -> list[str]:
    """Let the current worker start and die outside a handler."""
    done: list[str] = []
    for _ in range(times):
        (slot,) = server.rollout.workers.in_generation(server.rollout.current.number)
        server.ready(slot)
        done = server.die(slot, after=after)
    return done


def test_a_crash_loop_is_rolled_back() -> None:
    server = Server()
    server.serve("A")
    server.serve("B")
    server.die(0)
    assert "Load" in crash(server, 2)[-1]
    done = crash(server, 1)
    assert done[0].endswith("3 A")
    slot = int(done[0].split()[1])
    done = server.ready(slot)
    assert "ReleaseArtifact B" not in done
    assert "SendAnswer A 200" in done
    assert server.rollout.current.number == 3
    assert server.rollout.history.previous() is None


def test_a_crash_loop_rolls_one_step_back_and_no_further() -> None:
    server = Server()
    for number, name in enumerate("ABC", 1):
        server.serve(name)
        server.rollout.history.stored(number, 1, Named(f"file of {name}"))
    done = crash(server, 3)
    server.ready(int(done[0].split()[1]))
    assert str(server.rollout.current.artifact) == "B"
    crash(server, 3)
    assert server.rollout.candidate is None
    assert server.rollout.current.retry_at is not None
    assert server.rollout.roll_back(commands.Requester())


def test_crashes_that_are_far_apart_are_no_loop() -> None:
    server = Server()
    server.serve("A")
    server.serve("B")
    server.die(0)
    crash(server, 10, after=5.1)
    assert server.rollout.current.number == 2
    assert server.rollout.candidate is None


def test_deaths_in_a_handler_never_count() -> None:
    server = Server()
    server.serve("A")
    server.serve("B")
    server.die(0)
    for _ in range(10):
        (slot,) = server.rollout.workers.in_generation(2)
        server.ready(slot)
        server.accept(1)
        server.die(slot, (1, Recovery.FAIL))
        server.rollout.dispatcher.owners.remove(1)
    assert server.rollout.current.number == 2
    assert not server.rollout.current.crashes


def test_a_loop_in_the_first_generation_pauses_and_tries_again_and_is_never_0() -> None:
    server = Server()
    server.serve("A")
    crash(server, 2)
    assert crash(server, 1) == ["RemoveFolder 1"]
    spare = server.spare
    assert server.accept(1) == [f"Assign {spare} (1,) unstable"]
    server.rollout.end_pause(server.now + RETRY_FIRST / 2)
    assert server.did() == []
    server.rollout.end_pause(server.now + RETRY_FIRST)
    assert server.did() == [f"Recall {spare}", f"Load {spare} 1 A",
                            f"Assign {server.spare} (1,) unstable"]  # fmt: skip
    assert f"Assign {spare} (1,)" in server.ready(spare)
    assert server.rollout.current.number == 1


def test_the_first_crash_loop_pauses_shortly_though_further_workers_did_not_load() -> None:
    server = Server(workers=2)
    server.serve("A")
    current = server.rollout.current
    for _ in range(4):
        current.begin_pause(server.now)  # as a further worker that does not load has it do
    for _ in range(server.rollout.policy.crash_count):
        looped = current.count_crash(server.now, server.rollout.policy)
    assert looped
    assert current.begin_pause(server.now) == RETRY_FIRST


def test_the_pause_grows_while_it_does_not_come_up() -> None:
    server = Server()
    server.serve("A")
    pauses = []
    for _ in range(8):
        while server.rollout.current.retry_at is None:
            (slot,) = server.rollout.workers.in_generation(1)
            server.rollout.failed(slot, 502, "no handler")
            server.die(slot)
        pauses.append(server.rollout.current.retry_at - server.now)
        server.now = server.rollout.current.retry_at
        server.rollout.end_pause(server.now)
        server.did()
    assert pauses == [1, 2, 4, 8, 8, 8, 8, 8]


def test_a_roll_back_that_fails_leaves_the_current_generation_with_a_worker() -> None:
    server = Server()
    server.serve("A")
    server.serve("B")
    server.die(0)
    crash(server, 3)
    assert server.rollout.candidate is not None
    slot = server.rollout.candidate.slot
    assert slot is not None
    server.rollout.failed(slot, 502, "the file is gone")
    server.die(slot)
    current = server.rollout.current
    assert current.number == 2
    assert server.rollout.workers.in_generation(2) or current.retry_at is not None
    assert "ReleaseArtifact A" not in server.did()


def test_a_roll_back_on_request_and_no_second_one() -> None:
    server = Server()
    assert not server.rollout.roll_back()
    server.serve("A")
    assert not server.rollout.roll_back()
    server.serve("B")
    slot = server.spare
    assert server.rollout.roll_back(commands.Requester())
    assert f"Load {slot} 3 A" in server.did()
    done = server.ready(slot)
    assert done[0] == "Recall 1 leave"
    assert "ReleaseArtifact B" not in done
    assert "SendAnswer A 200" in done
    assert not server.rollout.roll_back()
    assert server.rollout.roll_back(commands.Requester(), to=2)


def test_a_roll_back_to_a_version_by_its_number() -> None:
    server = Server()
    server.serve("A")
    server.serve("B")
    for to, expected in ((1, "A"), (2, "B"), (1, "A")):
        slot = server.spare
        assert server.rollout.roll_back(commands.Requester(), to)
        assert f"SendAnswer {expected} 200" in [*server.did(), *server.ready(slot)]
    assert not server.rollout.roll_back(to=3)
    assert not server.rollout.roll_back(to=5)
    assert not server.rollout.roll_back(to=9)


# -- a start with several versions


def begin(server: Server, *names: str) -> list[str]:
    """Submit what a server begins with: each version is loaded if the one before does not load."""
    candidates = [Candidate(Named(name)) for name in names]
    for candidate, instead in pairwise(candidates):
        candidate.fallback = instead
    server.rollout.submit(candidates[0])
    return server.did()


def fail(server: Server) -> list[str]:
    """Let the load of the candidate fail."""
    assert server.rollout.candidate is not None
    slot = server.rollout.candidate.slot
    assert slot is not None
    server.rollout.failed(slot, 502, "no handler")
    return server.did()


def test_if_the_first_version_does_not_load_the_next_one_is_loaded_and_requests_wait() -> None:
    server = Server()
    server.accept(1)
    assert any(each.startswith("Load") and each.endswith("1 A") for each in begin(server, *"ABC"))
    for number, before, after in ((1, "A", "B"), (2, "B", "C")):
        done = fail(server)
        line = f"Log generation {number} does not load, so FILE is loaded: no handler"
        assert line in done
        assert f"ReleaseArtifact {before}" in done
        assert any(each.endswith(f"{number + 1} {after}") for each in done)
        assert not [each for each in done if each.startswith(("SendAnswer", "SendError"))]
        assert not any("load-failed" in each for each in done)
    assert "SendAnswer C 502" in fail(server)
    assert not server.rollout.current.number


def test_a_newer_save_is_loaded_and_not_the_earlier_version() -> None:
    server = Server()
    begin(server, "A", "earlier")
    assert server.rollout.candidate is not None
    server.rollout.candidate.superseded = True
    server.post("saved again")
    done = fail(server)
    assert any(each.endswith("2 saved again") for each in done)
    assert not any("earlier" in each for each in done)


def test_a_version_that_became_current_meanwhile_is_kept_if_a_save_does_not_load() -> None:
    server = Server()
    begin(server, "A", "earlier")
    slot = server.spare - 1
    server.post("B")
    assert server.rollout.waiting
    server.rollout.waiting[0].fallback = Candidate(Named("earlier"))
    server.ready(slot)
    done = fail(server)
    assert "SendAnswer B 502" in done
    assert str(server.rollout.current.artifact) == "A"
    assert not any("earlier" in each for each in done)


def test_a_stop_does_not_load_another_version_instead() -> None:
    server = Server()
    begin(server, "A", "B")
    server.rollout.stop()
    assert server.rollout.abort_loading()
    done = server.did()
    assert "SendAnswer A 503" in done
    assert not any("Load" in each for each in done)


def test_the_version_that_was_current_keeps_its_number() -> None:
    server = Server()
    content = Content(4, commands.Origin(), 1)
    content.file = Named("kept")
    version = Version(7, "digest", 0.0, content)
    server.rollout.history.restore([version])
    candidate = version.candidate()
    candidate.generation, candidate.rollback = 7, False
    slot = server.spare
    server.rollout.submit(candidate)
    assert f"Load {slot} 7 kept" in server.did()
    assert "SendAnswer kept 200" in server.ready(slot)
    assert server.rollout.current.number == 7
    server.serve("B")
    assert server.rollout.current.number == 8


def test_two_roll_backs_at_once_do_not_release_what_is_current() -> None:
    server = Server()
    server.serve("A")
    server.serve("B")
    first = server.spare
    server.rollout.roll_back(commands.Requester())
    server.rollout.roll_back(commands.Requester())
    server.did()
    server.ready(first)
    if server.rollout.candidate:
        slot = server.rollout.candidate.slot
        assert slot is not None
        assert "ReleaseArtifact A" not in server.ready(slot)
    assert str(server.rollout.current.artifact) == "A"


def test_a_version_that_overtakes_a_roll_back_does_not_release_what_it_loads() -> None:
    server = Server()
    server.serve("A")
    server.serve("B")
    slot = server.spare
    server.post("C")
    server.rollout.roll_back(commands.Requester())
    done = server.ready(slot)
    assert str(server.rollout.current.artifact) == "C"
    assert server.rollout.candidate is None or "ReleaseArtifact A" not in done


# -- the end


def test_stop_refuses_what_waits_and_tells_everybody() -> None:
    server = Server()
    server.serve("A")
    server.post("B")
    server.post("C")
    server.rollout.stop()
    assert server.did() == ["ReleaseArtifact C", "SendAnswer C 503", "Stop 0", "Stop 1", "Stop 2"]
    assert server.post("D") == ["ReleaseArtifact D", "SendAnswer D 503"]
    assert "SendAnswer B 200" in server.ready(1)  # it was loading already


def test_a_stopping_server_does_not_roll_back() -> None:
    server = Server()
    server.serve("A")
    server.serve("B")
    server.rollout.stop()
    server.did()
    assert not server.rollout.roll_back()
    assert server.did() == []


def test_after_the_last_worker_the_spare_says_that_the_server_leaves() -> None:
    server = Server()
    server.serve("A")
    server.accept(1, 2)
    server.rollout.stop()
    server.did()
    spare = server.spare
    assert server.die(0, (1, Recovery.FAIL)) == [
        f"SendError {spare} 1 killed",
        "RemoveFolder 1",
        f"Assign {spare} (2,) stopping",
    ]


def test_what_is_parked_is_answered_when_no_worker_will_come() -> None:
    server = Server()
    server.serve("A")
    server.accept(1, 2)
    server.touched.add(1)
    server.parked.add(2)
    server.rollout.stuck(0)
    server.did()
    assert list(server.owners.parked) == [2]
    server.rollout.stop()
    server.rollout.run_timed_out(0, Cause.STOPPING, "the stop")
    server.did()
    server.die(0, (1, Recovery.FAIL))
    server.rollout.dispatcher.give_to_spare()
    server.did()
    assert not server.owners.parked
    assert server.owners.owner(2) == server.spare
