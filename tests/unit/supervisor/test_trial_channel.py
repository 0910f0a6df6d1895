"""The socket and the pipes of a trial, and its clock, with a supervisor of fake processes."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import pytest

from hotwhisk.ipc.messages import BeginTrial, Compared, EndTrial, OfferCopies, Ready, TrialEnded
from hotwhisk.supervisor.commands import Candidate
from hotwhisk.supervisor.workers import State
from tests.unit.supervisor.scripted import Scripted

Script = Callable[..., Scripted]
DIGEST = "sha256:" + 64 * "0"


class Tried:
    """A supervisor with a version that serves, and the next one on trial."""

    def __init__(self, scripted: Scripted, copies: int = 3, seconds: int = 5) -> None:
        self.scripted = scripted
        self.old = scripted.serve()
        self.number = scripted.connect()
        self.begin(copies, seconds)

    def begin(self, copies: int, seconds: int) -> None:
        """Post a version that asks for a trial, and let its worker be ready."""
        scripted = self.scripted
        scripted.messages(self.old)
        self.slot = scripted.workers.spare
        artifact = scripted.candidate().artifact
        scripted.supervisor.rollout.init_received(self.old, self.number, artifact)
        scripted.supervisor.run_commands()
        scripted.messages(self.old)
        scripted.system.ends[self.slot].send(Ready(DIGEST, copies=copies, seconds=seconds))
        scripted.supervisor.wait(0.0)

    @property
    def state(self) -> State | None:
        worker = self.scripted.workers.by_slot.get(self.slot)
        return worker.state if worker is not None else None

    def ends(self) -> tuple[int, list[int]]:
        """Return what the worker on trial got: the end for copies, and the pipes."""
        while (received := self.scripted.system.ends[self.slot].receive()) is not None:
            message, descriptors = received
            if isinstance(message, BeginTrial):
                return descriptors[0], descriptors[1:]
            for each in descriptors:
                os.close(each)
        raise AssertionError("no trial began")

    def copies(self) -> socket.socket:
        """Return the end into which the old worker sends copies."""
        received = self.scripted.system.ends[self.old].receive()
        assert received is not None
        message, descriptors = received
        assert isinstance(message, OfferCopies)
        return socket.socket(fileno=descriptors[0])

    def answer(self) -> bytes:
        """Return what the sender of the /init got."""
        return self.scripted.clients[self.number].recv(65536)


@pytest.fixture
def tried(script: Script) -> Tried:
    return Tried(script())


def test_a_copy_goes_from_worker_to_worker(tried: Tried) -> None:
    end, pipes = tried.ends()
    with tried.copies() as sending, socket.socket(fileno=end) as receiving:
        sending.send(b"a copy")
        assert receiving.recv(100) == b"a copy"
    assert len(pipes) == 2
    for each in pipes:
        os.close(each)
    assert tried.state is State.TRIAL


def test_the_reports_end_it_and_the_init_is_answered(tried: Tried) -> None:
    for _ in range(3):
        tried.scripted.send(tried.slot, Compared())
    assert EndTrial() in tried.scripted.messages(tried.slot)
    tried.scripted.send(tried.slot, TrialEnded())
    assert tried.state is State.SERVING
    answer = tried.answer()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"trial":"the trial passed: 3 copies, none differs"' in answer


def test_one_that_died_after_its_last_report_does_not_become_current(tried: Tried) -> None:
    scripted = tried.scripted
    for _ in range(3):
        scripted.send(tried.slot, Compared())
    scripted.system.ends[tried.slot].send(TrialEnded())
    scripted.die(tried.slot)
    assert tried.answer().startswith(b"HTTP/1.1 409 ")
    assert scripted.workers[tried.old].state is State.SERVING


def test_differences_refuse_it(tried: Tried) -> None:
    for _ in range(3):
        tried.scripted.send(tried.slot, Compared("result.a: 1 before, 2 now"))
    answer = tried.answer()
    assert answer.startswith(b"HTTP/1.1 409 ")
    assert b"3 of 3 copies differ:\\n  result.a: 1 before, 2 now" in answer
    assert tried.scripted.supervisor.rollout.current.number == 1


def test_after_its_seconds_it_is_told_to_end(tried: Tried) -> None:
    for _ in range(19):
        tried.scripted.tick()
    assert EndTrial() not in tried.scripted.messages(tried.slot)
    for _ in range(3):
        tried.scripted.tick()
    assert EndTrial() in tried.scripted.messages(tried.slot)
    tried.scripted.send(tried.slot, TrialEnded())
    assert b"no request came within 5 s" in tried.answer()


def test_a_machine_that_slept_ends_no_trial(tried: Tried) -> None:
    tried.scripted.tick(10_000.0)
    assert EndTrial() not in tried.scripted.messages(tried.slot)


def test_a_worker_that_reads_no_copy_is_refused_after_the_timeout(script: Script) -> None:
    tried = Tried(script(timeout=2.0), seconds=600)
    end, pipes = tried.ends()
    with tried.copies() as sending, socket.socket(fileno=end) as receiving:
        for _ in range(40):
            tried.scripted.tick()
        assert tried.state is State.TRIAL  # nothing waits
        sending.send(b"a copy")
        for _ in range(6):
            tried.scripted.tick()
        receiving.recv(100)
        tried.scripted.send(tried.slot, Compared())
        sending.send(b"another")
        for _ in range(6):
            tried.scripted.tick()
        assert tried.state is State.TRIAL  # it answers slowly, and it answers
        for _ in range(4):
            tried.scripted.tick()
        assert b"it did not answer a copy within 2 s, after 1 copy" in tried.answer()
    for each in pipes:
        os.close(each)


def test_what_it_prints_is_marked_line_by_line(
    tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, (out, err) = tried.ends()
    channel = tried.scripted.supervisor.executor.trial
    written: list[bytes] = []
    assert channel._output is not None
    for output in channel._output._outputs.values():
        monkeypatch.setattr(output, "write", lambda text, timeout: written.append(text))
    os.write(out, b"one\nhal")
    tried.scripted.supervisor.wait(0.0)
    os.write(err, b"three\n")
    os.write(out, b"f\n" + b"x" * 20_000)
    while sum(map(len, written)) < 20_000:
        tried.scripted.supervisor.wait(0.0)
    os.close(out)
    os.close(err)
    os.close(end)
    for _ in range(3):
        tried.scripted.supervisor.wait(0.0)
    mark = b"[trial of generation 2] "
    text = b"".join(written)
    assert mark + b"one\n" in text
    assert mark + b"half\n" in text
    assert mark + b"three\n" in text
    assert not channel._output._outputs


@pytest.mark.parametrize("message", [Compared(), TrialEnded()])
def test_a_worker_that_is_not_on_trial_may_not_report(
    script: Script, message: Compared | TrialEnded
) -> None:
    scripted = script()
    worker = scripted.serve()
    scripted.send(worker, message)
    assert any("it is not on trial" in each for each in scripted.logged)


def test_trials_leave_no_descriptors(tried: Tried) -> None:
    left = []
    for _ in range(4):
        end, pipes = tried.ends()
        for each in (end, *pipes):
            os.close(each)
        tried.copies().close()
        tried.scripted.die(tried.slot)
        tried.scripted.supervisor.wait(0.0)
        tried.answer()
        tried.scripted.system.ends.pop(tried.slot).close()
        left.append(len(os.listdir("/proc/self/fd")))
        tried.begin(3, 5)
    assert left[-1] <= left[1]


def test_without_descriptors_the_version_is_refused(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("hotwhisk.supervisor.trial_output.TrialOutput.open", refuse)
    tried = Tried(script())
    assert b"the system refused what a trial needs: Too many open files" in tried.answer()


def test_a_candidate_without_a_connection_has_no_trial(script: Script) -> None:
    scripted = script()
    scripted.serve()
    slot = scripted.workers.spare
    scripted.supervisor.rollout.submit(Candidate(scripted.candidate().artifact))
    scripted.supervisor.run_commands()
    scripted.send(slot, Ready(DIGEST, copies=3, seconds=5))
    assert scripted.workers[slot].state is State.SERVING
