from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hotwhisk.openwhisk.sentinels import LineTracker
from hotwhisk.system.output import SENTINEL, STATE_SIZE, Output, StreamState


@contextmanager
def pipe() -> Iterator[tuple[int, LineTracker]]:
    reading, writing = os.pipe()
    state = StreamState(memoryview(bytearray(STATE_SIZE)))
    stream = LineTracker(writing, Output(writing, state, 3))
    try:
        yield reading, stream
    finally:
        stream.close()
        os.close(reading)


def read(descriptor: int, length: int) -> bytes:
    data = b""
    while len(data) < length:
        data += os.read(descriptor, length - len(data))
    return data


def test_a_sentinel_is_a_line_of_its_own() -> None:
    with pipe() as (reading, stream):
        try:
            for text in (b"", b"whole\n", b"not whole"):
                stream.write(text)
                stream.end()
            stream.end()
        finally:
            os.close(stream.fileno())
        wanted = SENTINEL + b"whole\n" + SENTINEL + b"not whole\n" + SENTINEL + SENTINEL
        assert read(reading, len(wanted)) == wanted


def test_a_sentinel_waits_for_a_thread_that_is_writing() -> None:
    # More than a pipe holds: once the first byte was read, the write is known to go on.
    line = b"x" * (1 << 20)
    with pipe() as (reading, stream):
        entered = threading.Event()

        def end() -> None:
            entered.set()
            stream.end()

        threads = [threading.Thread(target=stream.write, args=[line]), threading.Thread(target=end)]
        threads[0].start()
        begin = os.read(reading, 1)
        threads[1].start()
        assert entered.wait(10.0)
        wanted = line + b"\n" + SENTINEL
        assert begin + read(reading, len(wanted) - 1) == wanted
        for thread in threads:
            thread.join(10.0)
        os.close(stream.fileno())


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_does_not_wait_for_the_threads_of_its_parent() -> None:
    with pipe() as (reading, stream):
        thread = threading.Thread(target=stream.write, args=[b"x" * (1 << 20)])
        thread.start()
        os.read(reading, 1)  # the thread is in its write, and has the lock
        own, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                for each in (stream.fileno(), stream.output.descriptor):
                    os.dup2(theirs, each)
                stream.write(b"child\n")
                stream.end()
            finally:
                os._exit(0)
        os.close(theirs)
        assert read(own, 6 + len(SENTINEL)) == b"child\n" + SENTINEL
        os.close(own)
        os.waitpid(pid, 0)
        read(reading, (1 << 20) - 1)
        thread.join(10.0)
        os.close(stream.fileno())
