"""The pool of servers: who gets one, who waits, who is refused. No server is started."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from hotwhisk.gateway.cancellation import Cancellation, Cancelled
from hotwhisk.gateway.runtimes.pool import Need, NoServer, Pool, Slot
from hotwhisk.platform import UrlRuntime

DEADLINE = 10.0


class Recorded(UrlRuntime):
    """A runtime that says whether it was stopped."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1")
        self.stopped = threading.Event()
        self.start()

    def _stop(self) -> None:
        self.stopped.set()


def pool(most: int = 4, each: int = 2, patience: float = DEADLINE) -> Pool[Recorded]:
    return Pool(Recorded, most=most, most_per_action=each, patience=patience)


def wanted(name: str = "a", version: int = 1, concurrency: int = 1) -> Need:
    return Need(("guest", name), version, concurrency)


class Leases:
    """Takes servers, each in a thread of its own, and gives them back when told."""

    def __init__(self, servers: Pool[Recorded]) -> None:
        self._servers = servers
        self._threads = ThreadPoolExecutor(20)

    def take(self, what: Need) -> tuple[Future[Slot[Recorded]], threading.Event]:
        got: Future[Slot[Recorded]] = Future()
        back = threading.Event()

        def work() -> None:
            try:
                with self._servers.lease(what) as slot:
                    got.set_result(slot)
                    back.wait(DEADLINE)
            except NoServer as refusal:
                got.set_exception(refusal)

        self._threads.submit(work)
        return got, back

    def wait_waiting(self, count: int) -> None:
        """Wait until so many calls wait: their threads must have run."""
        end = threading.Event()
        for _ in range(1000):
            if self._servers.waiting() == count:
                return
            end.wait(0.01)
        raise AssertionError(f"{self._servers.waiting()} calls wait, expected {count}")


def test_an_idle_server_is_used_again() -> None:
    servers = pool()
    with servers.lease(wanted()) as first:
        pass
    with servers.lease(wanted(version=2)) as second:
        assert second is first
    assert servers.servers() == {("guest", "a"): 1}


def test_a_busy_server_is_left_and_another_one_taken() -> None:
    servers = pool()
    with servers.lease(wanted()) as first, servers.lease(wanted()) as second:
        assert second is not first


def test_of_two_idle_servers_the_one_with_the_version_is_taken() -> None:
    servers = pool()
    with servers.lease(wanted(version=1)) as old, servers.lease(wanted(version=2)) as new:
        pass
    with servers.lease(wanted(version=1)) as slot:
        assert slot is old
    with servers.lease(wanted(version=2)) as slot:
        assert slot is new


def test_a_server_whose_version_is_renamed_is_taken_for_it() -> None:
    servers = pool()
    with servers.lease(wanted(version=1)) as last, servers.lease(wanted(version=0)) as first:
        pass
    with servers.lease(wanted(version=2)) as found:
        assert found is last  # it was used until the end
        found.version = 1
    servers.rename_version(wanted("other", version=1), 2)
    servers.rename_version(wanted(version=0), 2)
    with servers.lease(wanted(version=2)) as found:
        assert found is first


def test_calls_share_a_server_up_to_the_concurrency() -> None:
    servers = pool()
    with ExitStack() as stack:
        slots = [stack.enter_context(servers.lease(wanted(concurrency=3))) for _ in range(4)]
    assert len({id(slot) for slot in slots[:3]}) == 1
    assert slots[3] is not slots[0]


def test_calls_of_different_versions_do_not_share_a_server() -> None:
    servers = pool()
    with (
        servers.lease(wanted(version=1, concurrency=9)) as old,
        servers.lease(wanted(version=2, concurrency=9)) as new,
    ):
        assert new is not old


def test_calls_are_served_in_their_order() -> None:
    servers = pool(each=1)
    leases = Leases(servers)
    _, running = leases.take(wanted())
    waiting = []
    for number in range(3):
        leases.wait_waiting(number)
        waiting.append(leases.take(wanted()))
    leases.wait_waiting(3)
    running.set()
    for got, back in waiting:
        got.result(DEADLINE)
        assert servers.waiting() == sum(not each.done() for each, _ in waiting)
        back.set()


def test_an_action_at_its_limit_holds_up_no_other() -> None:
    servers = pool(each=1)
    leases = Leases(servers)
    _, running = leases.take(wanted("a"))
    blocked, back = leases.take(wanted("a"))
    leases.wait_waiting(1)
    with servers.lease(wanted("b")):
        assert not blocked.done()
    running.set()
    blocked.result(DEADLINE)
    back.set()


def test_the_server_that_was_idle_longest_ends_for_another_action() -> None:
    servers = pool(most=2)
    with servers.lease(wanted("old")) as old:
        pass
    with servers.lease(wanted("new")) as new:
        pass
    with servers.lease(wanted("third")):
        assert old.runtime.stopped.is_set()
        assert not new.runtime.stopped.is_set()


def test_a_call_that_waits_in_vain_learns_why() -> None:
    servers = pool(each=1, patience=0.05)
    with servers.lease(wanted()), pytest.raises(NoServer, match=r"this action may have \(1\)"):
        servers.lease(wanted()).__enter__()
    assert servers.waiting() == 0


def test_deleting_an_action_ends_its_servers_also_after_their_calls() -> None:
    servers = pool()
    with servers.lease(wanted()) as busy:
        with servers.lease(wanted()) as idle:
            pass
        servers.end("a")
        assert idle.runtime.stopped.is_set()
        assert not busy.runtime.stopped.is_set()
        with servers.lease(wanted()) as fresh:
            assert fresh is not busy
    assert busy.runtime.stopped.is_set()
    assert servers.servers() == {("guest", "a"): 1}


def test_a_discarded_server_ends_after_its_present_calls() -> None:
    servers = pool()
    with servers.lease(wanted(concurrency=2)) as first:
        with servers.lease(wanted(concurrency=2)) as second:
            assert second is first
            first.runtime.discarded = True
        assert not first.runtime.stopped.is_set()
        with servers.lease(wanted(concurrency=2)) as fresh:
            assert fresh is not first
    assert first.runtime.stopped.is_set()
    assert servers.servers() == {("guest", "a"): 1}


def test_servers_end_when_they_are_idle() -> None:
    servers = pool()
    with servers.lease(wanted()) as slot:
        servers.end_idle(0)
        assert not slot.runtime.stopped.is_set()
    servers.end_idle(1000)
    assert not slot.runtime.stopped.is_set()
    servers.end_idle(0)
    assert slot.runtime.stopped.is_set()


def test_a_closed_pool_refuses() -> None:
    servers = pool(each=1)
    leases = Leases(servers)
    with servers.lease(wanted()) as slot:
        waiting, _ = leases.take(wanted())
        leases.wait_waiting(1)
        servers.close()
        with pytest.raises(NoServer, match="shutting down"):
            waiting.result(DEADLINE)
    assert slot.runtime.stopped.is_set()
    with pytest.raises(NoServer):
        servers.lease(wanted()).__enter__()


class Stubborn(Recorded):
    """A runtime whose end fails, as for lack of descriptors."""

    def _stop(self) -> None:
        raise OSError("too many open files")


def test_a_call_whose_place_could_not_be_made_keeps_no_server() -> None:
    servers = Pool[Recorded](Stubborn, most=1, most_per_action=1, patience=DEADLINE)
    with servers.lease(wanted("a")):
        pass
    with pytest.raises(OSError, match="too many open files"), servers.lease(wanted("b")):
        raise AssertionError("the server of the other action did not end")
    with servers.lease(wanted("b")) as slot:
        assert slot.calls == 1


def test_a_wait_that_is_given_up_ends_at_once_and_takes_no_server() -> None:
    servers = pool(each=1)
    cancellation, left = Cancellation(), threading.Event()

    def wait() -> None:
        with suppress(Cancelled), servers.lease(wanted(), cancellation):
            raise AssertionError("a server was taken")
        left.set()

    with servers.lease(wanted()) as slot:
        threading.Thread(target=wait, daemon=True).start()
        Leases(servers).wait_waiting(1)
        cancellation.cancel()
        assert left.wait(DEADLINE)
        assert servers.waiting() == 0
    with servers.lease(wanted()) as free:
        assert free is slot
    with pytest.raises(Cancelled), servers.lease(wanted(), cancellation):
        raise AssertionError("a server was taken")
