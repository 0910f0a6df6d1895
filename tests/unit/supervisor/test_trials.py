"""Scripted histories of trials: when one begins, how it ends, and what comes of the version."""

from __future__ import annotations

import pytest

from hotwhisk.ipc.messages import ProtocolError
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.supervisor import commands
from hotwhisk.supervisor.commands import Recovery
from hotwhisk.supervisor.trials import MOST_DIFFERING, NO_TRIAL
from hotwhisk.supervisor.workers import State
from tests.unit.supervisor.test_rollout import Server

LIMIT = 30.0


class Tried(Server):
    """A server with version A in worker 0, and version B on trial in worker 1."""

    def __init__(self, copies: int = 3, seconds: int = 60, workers: int = 1) -> None:
        self.answers: list[commands.SendAnswer] = []
        super().__init__(workers)
        self.serve("A")
        for slot in self.rollout.workers.in_generation(1, State.LOADING):
            self.ready(slot)
        self.accept(1, 2)
        self.answers.clear()
        self.slot = self.spare
        self.post("B", 1)
        self.begun = self.load(copies, seconds)

    def load(self, copies: int, seconds: int) -> list[str]:
        """Let the worker of B be ready, and ask for a trial."""
        self.rollout.ready(self.slot, "digest", overlap=False, trial=(copies, seconds))
        return self.did()

    def did(self) -> list[str]:
        queue = self.rollout.commands
        self.answers += [each for each in queue if isinstance(each, commands.SendAnswer)]
        return super().did()

    def compared(self, *differences: str) -> list[str]:
        for each in differences:
            self.rollout.trials.compared(self.slot, each)
        return self.did()

    def ended(self) -> list[str]:
        self.rollout.trials.ended(self.slot)
        return self.did()

    def tick(self, age: float, silence: float = 0.0) -> list[str]:
        self.rollout.trials.tick(age, silence, LIMIT)
        return self.did()

    @property
    def refusal(self) -> str:
        """The text of the only answer, which is a refusal."""
        (answer,) = self.answers
        assert answer.status == 409
        assert self.rollout.current.number == 1
        assert self.rollout.trials.trial is None
        return answer.text


def test_a_version_that_answers_alike_becomes_current_after_the_copies() -> None:
    server = Tried()
    assert server.begun == [
        "Log generation 2 is on trial: up to 3 copies of requests, up to 60 s",
        "BeginTrial 1",
        "OfferCopies 0",
    ]
    assert server.state(1) is State.TRIAL
    assert server.accept(3) == ["Assign 0 (3,)"]
    assert server.compared("", "") == []
    assert server.compared("") == ["EndTrial 1"]
    assert server.rollout.current.number == 1
    done = server.ended()
    assert done[:3] == [
        "CloseTrial",
        "Recall 0 leave",
        "Log generation 2 is current (digest…): the trial passed: 3 copies, none differs",
    ]
    assert done[3:] == ["SendAnswer B 200", "Assign 1 (1, 2, 3)"]
    assert server.answers[-1].candidate.verdict == "the trial passed: 3 copies, none differs"
    assert server.state(1) is State.SERVING


def test_the_third_difference_ends_it_with_examples() -> None:
    server = Tried(100)
    assert server.compared("", "a: 1 before, 2 now", "", "b: 1 before, 2 now") == []
    done = server.compared("b: 1 before, 2 now")
    assert done[:2] == ["Kill 1", "CloseTrial"]
    assert server.refusal == (
        "the trial refused it: 3 of 5 copies differ:\n  a: 1 before, 2 now\n  b: 1 before, 2 now"
    )
    assert MOST_DIFFERING == 3


def test_one_difference_refuses_it_when_the_copies_are_run() -> None:
    server = Tried(2)
    assert server.compared("a: 1 before, 2 now", "") == ["EndTrial 1"]
    server.ended()
    assert server.refusal == "the trial refused it: 1 of 2 copies differs:\n  a: 1 before, 2 now"


def test_the_time_ends_it_with_what_was_compared() -> None:
    server = Tried(200, 10)
    server.compared("")
    assert server.tick(9.9) == []
    assert server.tick(10.1) == ["EndTrial 1"]
    assert server.tick(10.4) == []
    server.ended()
    assert server.answers[-1].candidate.verdict == (
        "the trial passed: 1 copy, none differs; only 1 of 200 came within 10 s"
    )


def test_a_copy_that_runs_when_the_time_is_over_counts() -> None:
    server = Tried(200, 10)
    server.compared("")
    server.tick(10.1)
    server.compared("a: 1 before, 2 now")
    server.ended()
    assert "1 of 2 copies differs" in server.refusal


def test_without_a_copy_it_is_refused() -> None:
    server = Tried(200, 10)
    server.tick(10.1)
    server.ended()
    assert server.refusal.startswith("the trial refused it: no request came within 10 s")


def test_silence_refuses_it() -> None:
    server = Tried()
    server.compared("")
    assert server.tick(40.0, LIMIT) == []
    assert server.tick(41.0, LIMIT + 1)[:2] == ["Kill 1", "CloseTrial"]
    assert (
        server.refusal == "the trial refused it: it did not answer a copy within 30 s, after 1 copy"
    )


def test_its_death_refuses_it_and_nothing_else_happens() -> None:
    server = Tried()
    server.compared("")
    assert server.die(1)[:2] == ["CloseTrial", "ReleaseArtifact B"]
    assert server.refusal == "the trial refused it: it was ended by signal 9, after 1 copy"
    assert server.state(0) is State.SERVING


def test_the_death_of_the_old_worker_ends_no_trial() -> None:
    server = Tried()
    done = server.die(0, (2, Recovery.FAIL))
    (loading,) = server.rollout.workers.in_generation(1, State.LOADING)
    assert "BeginTrial" not in " ".join(done)
    server.rollout.ready(loading, "digest", overlap=False, trial=(3, 60))
    assert f"OfferCopies {loading}" in server.did()
    assert server.state(loading) is State.SERVING
    server.compared("", "", "")
    server.ended()
    assert server.rollout.current.number == 2


def test_all_workers_of_the_old_version_offer_copies() -> None:
    server = Tried(workers=3)
    offers = [each for each in server.begun if each.startswith("OfferCopies")]
    assert len(offers) == 3


def test_the_first_version_needs_no_trial() -> None:
    server = Server()
    server.accept(1)
    server.rollout.dispatcher.give_to_spare()
    server.did()
    slot = server.spare
    server.post("A", 1)
    server.rollout.ready(slot, "digest", overlap=False, trial=(3, 60))
    answers = [each for each in server.rollout.commands if isinstance(each, commands.SendAnswer)]
    assert [each.candidate.verdict for each in answers] == [NO_TRIAL]
    assert server.rollout.current.number == 1


def test_a_roll_back_and_a_file_have_no_trial() -> None:
    server = Tried(1)
    server.compared("")
    server.ended()
    server.rollout.roll_back()
    server.did()
    (slot,) = [each.slot for each in server.rollout.workers.by_slot.values()
               if each.state is State.LOADING]  # fmt: skip
    server.rollout.ready(slot, "digest", overlap=False, trial=(3, 60))
    assert server.rollout.current.number == 3
    slot = server.spare
    server.post("C")
    server.rollout.ready(slot, "digest", overlap=False, trial=(3, 60))
    assert server.rollout.current.number == 4


def test_a_later_version_waits_for_the_verdict() -> None:
    server = Tried(1)
    assert server.post("C", 2) == []
    server.compared("")
    assert any(each.startswith("Load ") and each.endswith(" C") for each in server.ended())


def test_a_roll_back_ends_it() -> None:
    server = Tried(1)
    server.compared("")
    server.ended()
    server.slot = server.spare
    server.post("C", 2)
    server.load(5, 60)
    assert server.state(server.slot) is State.TRIAL
    assert server.rollout.roll_back()
    done = server.did()
    assert "SendAnswer C 409" in done
    assert any(each.startswith("Load ") and each.endswith(" A") for each in done)


def test_a_stop_ends_it() -> None:
    server = Tried()
    server.rollout.stop()
    done = server.did()
    assert "SendAnswer B 503" in done
    assert "CloseTrial" in done
    assert server.state(1) is State.KILLED


def test_memory_that_runs_out_is_told_as_its_death() -> None:
    server = Tried()
    server.rollout.exited(1, Cause.OUT_OF_MEMORY, "signal 9 (SIGKILL)", [], 0.0)
    server.did()
    assert "ended by signal 9 (SIGKILL) as memory ran out, after 0 copies" in server.refusal


def test_only_the_worker_on_trial_may_report() -> None:
    server = Tried()
    with pytest.raises(ProtocolError, match="not on trial"):
        server.rollout.trials.compared(0, "")
    with pytest.raises(ProtocolError, match="goes on"):
        server.rollout.trials.ended(1)
    server.rollout.trials.give_up("it was enough")
    server.rollout.trials.compared(1, "")  # it was sent before the kill
    server.rollout.trials.ended(1)
    assert server.state(1) is State.KILLED


def test_limits_beyond_all_measure_are_limited() -> None:
    server = Tried(2**64 - 1, 2**64 - 1)
    assert "up to 1000000 copies of requests, up to 86400 s" in server.begun[0]
