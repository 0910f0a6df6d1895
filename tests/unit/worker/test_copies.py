"""Copies of requests on their way to a version on trial, and packets of another form."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotwhisk.http1.http1 import Head, Request
from hotwhisk.http1.trace_context import TraceContext
from hotwhisk.worker.copies import (
    LONGEST,
    MOST_INLINE,
    Copy,
    CopyReceiver,
    CopySender,
    pack_trace,
    read_trace,
)
from hotwhisk.worker.spill import make_file

LOWEST = 512
TRACE = TraceContext("00-" + 32 * "a" + "-" + 16 * "b" + "-01", "vendor=1")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotwhisk.worker.copies.PAUSE", 0.0)


class Trial:
    """A sender whose answers are kept, and the receiver of its copies."""

    def __init__(self) -> None:
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.answers: list[tuple[int, bytes]] = []
        self.was_free: list[bool] = []
        """Whether no copy was unread when an answer was sent."""
        self.is_over = False
        self.sender = CopySender(os.dup(self.ours.fileno()), LOWEST, self.respond, self.stop)
        self.receiver = CopyReceiver(theirs.detach(), LOWEST)

    def respond(self, connection: Any, request: Request, status: int, body: bytes) -> bool:
        self.was_free.append(self.sender._is_free())
        self.answers.append((status, body))
        return True

    def stop(self) -> None:
        self.is_over = True

    def answer(
        self, body: bytes, answer: bytes, status: int = 200, trace: TraceContext | None = None
    ) -> None:
        head = Head("POST", "/run", 1, (), len(body), False, True, False, trace)
        connection: Any = None
        assert self.sender.respond(connection, Request(head, body, len(body)), status, answer)

    def send(self, packet: bytes, *descriptors: int) -> None:
        """Send any bytes, as an action could, and close the descriptors."""
        socket.send_fds(self.ours, [packet], descriptors)
        for each in descriptors:
            os.close(each)

    def close(self) -> None:
        self.sender.close()
        self.receiver.close()
        self.ours.close()


@pytest.fixture
def trial() -> Iterator[Trial]:
    made = Trial()
    yield made
    made.close()


@pytest.mark.parametrize("size", [0, 1, MOST_INLINE - 100, MOST_INLINE, 3 * MOST_INLINE])
@pytest.mark.parametrize("trace", [None, TRACE])
def test_a_copy_comes_as_it_was_sent(trial: Trial, size: int, trace: TraceContext | None) -> None:
    body, answer = os.urandom(size), os.urandom(50)
    trial.answer(body, answer, 502, trace)
    assert (trial.answers, trial.was_free) == ([(502, answer)], [True])
    assert trial.receiver.receive() == Copy(body, trace, 502, answer)
    assert trial.receiver.receive() is None


def test_while_a_copy_waits_no_other_is_sent(trial: Trial) -> None:
    trial.answer(b"1", b"one")
    trial.answer(b"2", b"two")
    assert len(trial.answers) == 2
    received = trial.receiver.receive()
    assert received is not None
    assert received.body == b"1"
    assert trial.receiver.receive() is None
    trial.answer(b"3", b"three")
    assert trial.receiver.receive() == Copy(b"3", None, 200, b"three")


def test_what_is_very_large_is_left_out(trial: Trial) -> None:
    trial.answer(b"x" * LONGEST, b"x")
    assert trial.receiver.receive() is None
    assert not trial.is_over


def test_the_sender_stops_when_the_receiver_is_gone(trial: Trial) -> None:
    trial.receiver.close()
    trial.answer(b"1", b"one")
    assert trial.is_over
    assert trial.answers == [(200, b"one")]


def test_the_receiver_learns_that_all_senders_are_gone(trial: Trial) -> None:
    trial.sender.close()
    trial.ours.close()
    with pytest.raises(EOFError):
        trial.receiver.receive()


@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_are_a_copy_or_left_out(packet: bytes) -> None:
    trial = Trial()
    try:
        trial.send(packet)
        received = trial.receiver.receive()
        assert received is None or isinstance(received, Copy)
    finally:
        trial.close()


def test_files_that_are_none_or_too_short_are_left_out(trial: Trial) -> None:
    trial.answer(b"x" * (MOST_INLINE + 1), b"y")
    packet = trial_packet(trial)
    before = set(os.listdir("/proc/self/fd"))
    reading, writing = os.pipe()
    trial.send(packet, reading)
    assert trial.receiver.receive() is None  # and it does not wait for the pipe
    os.close(writing)
    trial.send(packet, make_file(MOST_INLINE))
    assert trial.receiver.receive() is None
    trial.send(packet)
    assert trial.receiver.receive() is None
    trial.send(packet, os.open("/dev/zero", os.O_RDONLY))
    assert trial.receiver.receive() is None
    assert set(os.listdir("/proc/self/fd")) == before


def trial_packet(trial: Trial) -> bytes:
    """Return the packet of the copy that waits, without its file."""
    packet, descriptors, _, _ = socket.recv_fds(trial.receiver._socket, 1 << 17, 1)
    for each in descriptors:
        os.close(each)
    return packet


@given(st.binary(max_size=80))
def test_any_bytes_are_a_trace_or_none(data: bytes) -> None:
    trace = read_trace(data)
    assert trace is None or trace.traceparent


def test_a_trace_there_and_back() -> None:
    assert read_trace(pack_trace(TRACE)) == TRACE
    assert read_trace(pack_trace(None)) is None


def test_a_worker_sends_few_copies_under_load(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hotwhisk.worker.copies.PAUSE", 60.0)
    for _ in range(3):
        trial.answer(b"1", b"one")
    assert trial.receiver.receive() is not None
    trial.answer(b"2", b"two")
    assert trial.receiver.receive() is None
    assert len(trial.answers) == 4
