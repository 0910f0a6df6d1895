"""A wait that is given up ends at once, and no further one begins."""

from __future__ import annotations

import threading

import pytest

from hotwhisk.gateway.cancellation import Cancellation, Cancelled


def test_only_the_present_wait_is_ended() -> None:
    cancellation, ended = Cancellation(), []
    with cancellation.ending(lambda: ended.append("first")):
        pass
    with cancellation.ending(lambda: ended.append("second")):
        cancellation.cancel()
    assert ended == ["second"]
    with pytest.raises(Cancelled):
        cancellation.check()


def test_no_wait_begins_after_it() -> None:
    cancellation = Cancellation()
    cancellation.check()
    cancellation.cancel()
    with pytest.raises(Cancelled), cancellation.ending(lambda: None):
        raise AssertionError("a wait has begun")


def test_a_thread_that_waits_goes_on() -> None:
    cancellation, begun, end = Cancellation(), threading.Event(), threading.Event()

    def wait() -> None:
        with cancellation.ending(end.set):
            begun.set()
            end.wait()

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    assert begun.wait(10.0)
    cancellation.cancel()
    waiting.join(10.0)
    assert not waiting.is_alive()
