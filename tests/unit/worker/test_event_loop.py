"""Waiting for descriptors, with the callbacks that change what is waited for."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator

import pytest

from hotwhisk.system.loop_protocol import Loop
from hotwhisk.worker.event_loop import AsyncioLoop, EpollLoop

LOWEST = 200
Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    pair = socket.socketpair()
    with pair[0], pair[1]:
        for end in pair:
            end.setblocking(False)
        yield pair


@pytest.fixture(params=["epoll", "asyncio"])
def stoppable(request: pytest.FixtureRequest) -> Iterator[tuple[Loop, Callable[[], None]]]:
    """Either loop, and what ends its ``run``."""
    if request.param == "epoll":
        epoll = EpollLoop(LOWEST)
        yield epoll, epoll.close
        epoll.close()
    else:
        inner = asyncio.new_event_loop()
        yield AsyncioLoop(inner), inner.stop
        inner.close()


Stoppable = tuple[Loop, Callable[[], None]]


def test_a_readable_descriptor_calls_back(stoppable: Stoppable, ends: Ends) -> None:
    loop, stop = stoppable
    received = []

    def receive() -> None:
        received.append(ends[0].recv(10))
        if len(received) == 1:
            ends[1].send(b"again")
        else:
            stop()

    loop.watch(ends[0].fileno(), receive)
    ends[1].send(b"once")
    loop.run()
    assert received == [b"once", b"again"]


def test_the_end_of_a_connection_calls_back(stoppable: Stoppable, ends: Ends) -> None:
    loop, stop = stoppable
    loop.watch(ends[0].fileno(), stop)
    ends[1].close()
    loop.run()


def test_a_descriptor_that_waits_for_room_is_not_watched_for_reading(
    stoppable: Stoppable, ends: Ends
) -> None:
    loop, stop = stoppable
    order: list[str] = []

    def read() -> None:
        order.append("read")
        stop()

    def write() -> None:
        order.append("write")
        loop.watch(ends[0].fileno(), read)

    loop.watch(ends[0].fileno(), read)
    ends[1].send(b"there is something to read")
    loop.watch_writable(ends[0].fileno(), write)
    loop.run()
    assert order == ["write", "read"]


def test_a_descriptor_that_is_not_watched_can_be_unwatched(
    stoppable: Stoppable, ends: Ends
) -> None:
    loop, _ = stoppable
    loop.unwatch(ends[0].fileno())
    loop.watch(ends[0].fileno(), pytest.fail)
    loop.unwatch(ends[0].fileno())
    loop.unwatch(ends[0].fileno())


def test_a_descriptor_that_is_unwatched_in_the_same_batch_is_not_called(ends: Ends) -> None:
    loop = EpollLoop(LOWEST)
    with ends[0].dup() as other:
        called = []

        def first(me: socket.socket, them: socket.socket) -> None:
            called.append(me)
            loop.unwatch(them.fileno())
            loop.close()

        loop.watch(ends[0].fileno(), lambda: first(ends[0], other))
        loop.watch(other.fileno(), lambda: first(other, ends[0]))
        ends[1].send(b"x")
        loop.run()
    assert len(called) == 1


def test_the_loops_own_descriptor_has_a_high_number_and_is_not_inherited() -> None:
    before = set(os.listdir("/proc/self/fd"))
    loop = EpollLoop(LOWEST)
    fresh = {int(each) for each in set(os.listdir("/proc/self/fd")) - before}
    (descriptor,) = [each for each in fresh if each >= LOWEST]
    assert not os.get_inheritable(descriptor)
    loop.close()
    assert str(descriptor) not in os.listdir("/proc/self/fd")


def test_the_callbacks_outlive_the_loop_for_the_next_one(ends: Ends) -> None:
    loop = EpollLoop(LOWEST)

    def callback() -> None:
        pass

    loop.watch(ends[0].fileno(), callback)
    loop.close()
    assert loop.callbacks == {ends[0].fileno(): callback}
    loop.run()  # returns at once
