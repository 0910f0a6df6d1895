"""The event loop of the supervisor, with real pipes."""

from __future__ import annotations

import os
from select import EPOLLOUT

from hotwhisk.supervisor.loop import EventLoop


def test_a_watch_that_was_refused_is_tried_again_for_the_same_events() -> None:
    loop, called = EventLoop(), list[int]()
    reading, writing = os.pipe()
    kept = os.dup(writing)
    try:
        os.close(writing)
        loop.watch(writing, lambda: called.append(1), EPOLLOUT)  # refused, since it is closed
        assert loop.has_later
        os.dup2(kept, writing)
        assert loop.try_again()
        assert not loop.has_later
        ready = loop.poll(0)
        assert ready == [(writing, EPOLLOUT)]
        assert loop.dispatch(*ready[0])
        assert called == [1]
    finally:
        for each in (reading, writing, kept):
            os.close(each)
