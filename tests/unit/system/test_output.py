from __future__ import annotations

import os
import pty
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from hotwhisk.system.output import (
    SENTINEL,
    STATE_SIZE,
    WRITE_TIMEOUT,
    Output,
    StreamState,
    _write_if_room,
)

Ends = tuple[int, int]
"""Where a stream is read, and where it is written."""


def pipe(stack: ExitStack) -> Ends:
    ends = os.pipe()
    for each in ends:
        stack.callback(os.close, each)
    return ends


def unix_socket(stack: ExitStack) -> Ends:
    reading, writing = (stack.enter_context(each) for each in socket.socketpair())
    return reading.fileno(), writing.fileno()


def tcp_socket(stack: ExitStack) -> Ends:
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    writing = stack.enter_context(socket.create_connection(listener.getsockname()))
    reading = stack.enter_context(listener.accept()[0])
    return reading.fileno(), writing.fileno()


def terminal(stack: ExitStack) -> Ends:
    ends = pty.openpty()
    for each in ends:
        stack.callback(os.close, each)
    return ends


STREAMS = [pipe, unix_socket, tcp_socket, terminal]


@contextmanager
def opened(kind: Callable[[ExitStack], Ends]) -> Iterator[tuple[int, int, Output]]:
    with ExitStack() as stack:
        reading, writing = kind(stack)
        state = StreamState(memoryview(bytearray(STATE_SIZE)))
        state.begin()
        output = Output(writing, state, 3)
        stack.callback(output.close)
        yield reading, writing, output


def fill(output: Output) -> int:
    """Write until the stream is full; return how many bytes that was."""
    before = output.state.dropped[1]
    length = 0
    while output.state.dropped[1] == before:
        output.write(b"." * 1023 + b"\n", timeout=0.0)
        length += 1024
    return length


@pytest.mark.parametrize("kind", STREAMS)
def test_bytes_that_find_no_room_are_dropped_in_time_and_counted(
    kind: Callable[[ExitStack], Ends],
) -> None:
    with opened(kind) as (_, __, output):
        fill(output)
        before = output.state.dropped
        began = time.monotonic()
        for _ in range(10):
            output.end()
        assert time.monotonic() - began < WRITE_TIMEOUT + 0.5, "only the first of them waits"
        sentinels, length = output.state.dropped
        assert length == before[1]
        if kind in (pipe, unix_socket):  # the others move what they have while we look
            assert sentinels == 10
            assert output.state.stalled


@pytest.mark.parametrize("kind", STREAMS)
def test_the_shared_stream_stays_blocking(kind: Callable[[ExitStack], Ends]) -> None:
    with opened(kind) as (_, writing, output):
        fill(output)
        assert os.get_blocking(writing)


def test_a_reader_that_reads_again_gets_whole_sentinels_only() -> None:
    with opened(pipe) as (reading, _, output):
        fill(output)
        output.end()
        taken = os.read(reading, 1 << 20)
        output.end()
        rest = taken + os.read(reading, 4096)
        assert rest.endswith(b"\n" + SENTINEL)
        assert rest.count(b"XXX_") == 1
        assert not output.state.stalled


def test_a_slow_reader_gets_the_sentinel() -> None:
    with opened(pipe) as (reading, _, output):
        fill(output)
        slow = threading.Timer(WRITE_TIMEOUT / 5, os.read, (reading, 8192))
        slow.start()
        output.end()
        slow.join()
        assert output.state.dropped[0] == 0
        assert os.read(reading, 1 << 20).endswith(SENTINEL)


def test_a_pipe_that_cannot_be_opened_again_is_polled_first() -> None:
    with opened(pipe) as (reading, writing, output):
        output.close()
        output._write, output.descriptor = _write_if_room, writing
        fill(output)
        output.end()
        assert output.state.dropped[0] == 1
        os.read(reading, 1 << 20)
        output.end()
        assert os.read(reading, 4096) == SENTINEL


def test_a_log_that_cannot_be_written_loses_only_its_own_lines() -> None:
    state = StreamState(memoryview(bytearray(STATE_SIZE)))
    full = os.open("/dev/full", os.O_WRONLY)
    output = Output(full, state, 3)
    output.end()
    output.write(b"line\n")
    assert state.dropped == (1, 5)
    os.close(full)
    output.close()


def test_without_a_reader_the_lines_are_dropped() -> None:
    reading, writing = os.pipe()
    state = StreamState(memoryview(bytearray(STATE_SIZE)))
    output = Output(writing, state, 3)
    os.close(reading)
    output.end()
    assert state.dropped == (1, 0)
    os.close(writing)
    output.close()


@pytest.mark.parametrize("text", [b"", b"whole\n", b"not whole"])
def test_the_sentinel_for_an_exited_worker_is_a_line_of_its_own_without_an_empty_line_before(
    text: bytes,
) -> None:
    """
    Output that did not go through our streams, as of a child of the action, is seen in
    the pipe.
    """
    with opened(pipe) as (reading, writing, output):
        os.write(writing, text)
        output.end_for_exited()
        broken = b"\n" if text and not text.endswith(b"\n") else b""
        assert os.read(reading, 4096) == text + broken + SENTINEL


@pytest.mark.parametrize("flags", [0, os.O_APPEND])
@pytest.mark.parametrize("text", [b"", b"whole\n", b"not whole"])
def test_the_sentinel_for_an_exited_worker_depends_on_the_last_byte_of_a_file(
    tmp_path: object, flags: int, text: bytes
) -> None:
    path = f"{tmp_path}/log"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | flags)
    state = StreamState(memoryview(bytearray(STATE_SIZE)))
    state.begin()
    os.write(file, text)
    Output(file, state, 3).end_for_exited()
    os.close(file)
    broken = b"\n" if text and not text.endswith(b"\n") else b""
    with open(path, "rb") as log:
        assert log.read() == text + broken + SENTINEL


def test_all_processes_share_the_state_of_a_stream() -> None:
    """A worker that printed half a line has died; the process that writes the end knows it."""
    memory = memoryview(bytearray(STATE_SIZE))
    with ExitStack() as stack:
        reading, writing = pipe(stack)
        first, second = (Output(writing, StreamState(memory), 3) for _ in range(2))
        for each in (first, second):
            stack.callback(each.close)
        first.write(b"half a line")
        os.read(reading, 4096)
        second.end_for_exited()
        assert os.read(reading, 4096) == b"\n" + SENTINEL
