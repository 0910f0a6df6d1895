"""
Kill -9 each process at every step of a replacement (design §5), with real processes.

Each test waits for a report of its step: an action waits at a rendezvous, the server's status names
a process's state, the kernel names a file. In all tests the caller is answered, the next request is
served by the current version, and nothing is left over.
"""

from __future__ import annotations

import io
import os
import signal
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.client import Connection, Lost, run_once
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server
from tests.support.waiting import stop, wait_few, wait_gone, wait_read
from tests.support.wire import Response, init_request, run_request

from . import actions, control
from .folder_watch import FolderWatch

pytestmark = pytest.mark.slow

PROCESSES = 3  # the supervisor, a worker, a spare; a template may come beside them


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process by SIGSTOP for the block: messages to it wait in its queues."""
    stop(pid)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def meet() -> Iterator[Rendezvous]:
    with Rendezvous() as place:
        yield place


@pytest.fixture
def first(server: Server) -> Server:
    """Return a server with version 1 current."""
    server.post(actions.plain(1))
    return server


def expect_version(response: Response, version: int) -> Response:
    assert (response.status, response.value("version")) == (200, version), response.body
    return response


def expect_error(response: Response, *words: str) -> Response:
    assert response.status >= 400, response
    assert response.error, response
    assert all(word in response.error for word in words), response.error
    return response


def expect_calm(server: Server, version: int, processes: int = PROCESSES) -> None:
    """
    Expect that the version answers on a new connection, and that no process and no file is left
    over.
    """
    expect_version(run_once(server.address, {}), version)

    def without_template() -> set[int]:
        """
        Return the living processes without the template, which exists if the action was slow to
        load.
        """
        return server.left() - {(control.status(server)["template"] or {}).get("pid")}

    left = wait_few(without_template, processes, 10.0)
    assert len(left) <= processes, left
    found = control.wait_until(
        server,
        lambda found: all(
            worker["state"] in ("serving", "spare") for worker in found["generation"]["workers"]
        ),
        "nobody but workers current and the spare",
    )
    number = found["generation"]["number"]
    control.wait_until(
        server,
        lambda _: {entry.name for entry in unpacked(server)} <= {str(number)},
        f"no folder but that of generation {number}",
    )


def unpacked(server: Server) -> list[os.DirEntry[str]]:
    with os.scandir(server.run_dir / str(server.port)) as entries:
        return list(entries)


# -- the candidate --------------------------------------------------------------------------

Source = Callable[[int, str], str]
HELD: dict[str, Source] = {
    "import": actions.held_at_import,
    "ready": actions.held_in_ready,
}


@pytest.mark.parametrize("step", HELD)
def test_candidate_dies_while_it_runs_its_code(first: Server, meet: Rendezvous, step: str) -> None:
    with Connection(first.address) as poster, Connection(first.address) as kept:
        pid = kept.run({}).value("pid")
        poster.send(init_request(HELD[step](2, meet.path)))
        held = meet.wait_arrival()
        assert expect_version(kept.run({}), 1).value("pid") == pid  # served meanwhile
        kill(held.pid)
        expect_error(poster.read_response(), "signal 9", "while it was loaded")
        for connection in (kept, poster):
            assert expect_version(connection.run({}), 1).value("pid") == pid
    expect_calm(first, 1)


@pytest.mark.parametrize("step", HELD)
def test_first_candidate_dies_while_it_runs_its_code(
    server: Server, meet: Rendezvous, step: str
) -> None:
    with Connection(server.address) as poster:
        poster.send(init_request(HELD[step](1, meet.path)))
        held = meet.wait_arrival()
        expect_error(run_once(server.address, {}), "locate a binary")
        kill(held.pid)
        expect_error(poster.read_response(), "signal 9")
        expect_error(poster.run({}), "locate a binary")
        assert poster.init(actions.plain(1)).status == 200
        expect_version(poster.run({}), 1)
    expect_calm(server, 1)


def test_candidate_dies_before_it_reads_the_code(first: Server) -> None:
    spare = control.pid(first, "spare")
    with Connection(first.address) as poster, stopped_until_killed(spare):
        poster.send(init_request(actions.plain(2)))
        control.wait_until(first, lambda _: control.pids(first, "loading") == [spare], "loading")
        kill(spare)
        expect_error(poster.read_response(), "signal 9")
        expect_version(poster.run({}), 1)
    expect_calm(first, 1)


@contextmanager
def stopped_until_killed(pid: int) -> Iterator[None]:
    stop(pid)
    try:
        yield
    finally:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass


def test_candidate_dies_while_it_unpacks(first: Server) -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as made:
        made.writestr("__main__.py", actions.plain(2))
        for number in range(3000):
            made.writestr(f"data/{number}", b"x")
    spare = control.pid(first, "spare")
    with FolderWatch() as watch, Connection(first.address) as poster:
        watch.add(first.run_dir / str(first.port))
        poster.send(init_request(written.getvalue()))
        watch.wait_created()
        kill(spare)
        expect_error(poster.read_response(), "signal 9")
        expect_version(poster.run({}), 1)
    expect_calm(first, 1)


def test_candidate_dies_when_ready_is_sent_and_not_received(
    first: Server, meet: Rendezvous
) -> None:
    with Connection(first.address) as poster, Connection(first.address) as kept:
        kept.run({})
        # Held in ready() first, so that the supervisor can be stopped before READY is sent.
        with Rendezvous() as before:
            source = actions.held_after_ready(2, meet.path)
            source = source.replace("def ready():\n", f"def ready():\n    meet({before.path!r})\n")
            poster.send(init_request(source))
            at_ready = before.wait_arrival()
            with stopped(first.pid):
                at_ready.release()
                sent = meet.wait_arrival()
                assert sent.pid == at_ready.pid
                kill(sent.pid)
                assert wait_gone(sent.pid, 10.0)  # its sockets close a little earlier
        expect_error(poster.read_response(), "signal 9")
        expect_version(kept.run({}), 1)
        expect_version(poster.run({}), 1)
    expect_calm(first, 1)


def test_candidate_dies_when_it_has_just_become_current(first: Server, meet: Rendezvous) -> None:
    with Connection(first.address) as poster, Connection(first.address) as kept:
        kept.run({})
        # READY is received, 200 is sent; its connections wait in its channel when it dies.
        gated = f"os.path.exists(GATE) and (os.unlink(GATE), meet({meet.path!r}))"
        source = actions.held_after_ready(2, meet.path).replace(f"meet({meet.path!r})", gated)
        gate = first.folder / "tmp" / "gate"
        gate.touch()
        poster.send(init_request(f"GATE = {str(gate)!r}\n{source}"))
        held = meet.wait_arrival()
        assert poster.read_response().status == 200
        kept.send_run({"token": "unread"})
        kill(held.pid)
        assert expect_version(kept.read_response(), 2).value("token") == "unread"
        expect_version(poster.run({}), 2)
    expect_calm(first, 2)


def test_client_of_init_leaves_before_its_answer(first: Server, meet: Rendezvous) -> None:
    with Connection(first.address) as poster:
        poster.send(init_request(actions.held_at_import(2, meet.path)))
        held = meet.wait_arrival()
    held.release()
    control.wait_until(first, lambda found: found["replacements"] == 1, "replaced all the same")
    expect_calm(first, 2)
    control.wait_until(first, lambda found: found["connections"] == 0, "its connection is closed")


def test_candidates_that_wait_outlive_the_one_that_dies(first: Server, meet: Rendezvous) -> None:
    with ExitStack() as stack:
        posters = [stack.enter_context(Connection(first.address)) for _ in range(3)]
        posters[0].send(init_request(actions.held_at_import(2, meet.path)))
        held = meet.wait_arrival()
        for version, poster in zip((3, 4), posters[1:], strict=True):
            poster.send(init_request(actions.plain(version)))
        kill(held.pid)
        expect_error(posters[0].read_response(), "signal 9")
        assert [poster.read_response().status for poster in posters[1:]] == [200, 200]
        version = run_once(first.address, {}).value("version")
        assert version in (3, 4)  # two connections, so no order between them
    expect_calm(first, version)


# -- the current worker -------------------------------------------------------------------


def test_current_worker_dies_while_its_successor_loads(first: Server, meet: Rendezvous) -> None:
    with Connection(first.address) as poster, Connection(first.address) as kept:
        pid = kept.run({}).value("pid")
        poster.send(init_request(actions.held_at_import(2, meet.path)))
        held = meet.wait_arrival()
        kill(pid)
        assert expect_version(kept.run({}), 1).value("pid") != pid
        held.release()
        assert poster.read_response().status == 200
        expect_version(kept.run({}), 2)
        expect_version(poster.run({}), 2)
    expect_calm(first, 2)


def test_worker_dies_with_half_an_init_read(first: Server) -> None:
    request = init_request(actions.plain(2) + "#" * 300_000)
    with Connection(first.address) as poster:
        pid = poster.run({}).value("pid")
        poster.send(request[:150_000])
        wait_read(poster.socket, pid)  # what it reads as it is killed may be lost
        kill(pid)
        poster.send(request[150_000:])
        assert poster.read_response().status == 200
        expect_version(poster.run({}), 2)
    expect_calm(first, 2)


def test_worker_dies_exactly_between_requests(first: Server) -> None:
    with ExitStack() as stack:
        kept = [stack.enter_context(Connection(first.address)) for _ in range(8)]
        for turn in range(2):  # a third death within ten seconds is a crash loop
            pid = kept[0].run({}).value("pid")
            for connection in kept:
                assert expect_version(connection.run({}), 1).value("pid") == pid
            kill(pid)
            for number, connection in enumerate(kept):
                answer = expect_version(connection.run({"token": number}), 1)
                assert answer.value("token") == number, turn
    expect_calm(first, 1)


def test_everybody_but_the_supervisor_dies_at_once(first: Server, meet: Rendezvous) -> None:
    with ExitStack() as stack:
        poster, runner, *others = [
            stack.enter_context(Connection(first.address)) for _ in range(12)
        ]
        for connection in (runner, *others):
            connection.run({})
        poster.send(init_request(actions.held_at_import(2, meet.path)))
        candidate = meet.wait_arrival().pid
        runner.send_run({"hold": meet.path})
        worker = meet.wait_arrival().pid
        for number, connection in enumerate(others):
            connection.send_run({"token": number})
        spares = control.pids(first, "spare")
        with stopped(first.pid):
            for pid in (candidate, worker, *spares):
                kill(pid)
        expect_error(poster.read_response(), "signal 9")
        expect_error(runner.read_response(), "signal 9")
        for number, connection in enumerate(others):
            assert expect_version(connection.read_response(), 1).value("token") == number
    expect_calm(first, 1)


# -- the old worker -------------------------------------------------------------------------


def test_draining_worker_dies_in_its_last_handler(first: Server, meet: Rendezvous) -> None:
    with Connection(first.address) as runner:
        runner.send_run({"hold": meet.path})
        held = meet.wait_arrival()
        first.post(actions.plain(2))
        assert control.pid(first, "draining") == held.pid
        expect_version(run_once(first.address, {}), 2)
        kill(held.pid)
        assert expect_error(runner.read_response(), "signal 9").generation == 1
        expect_version(runner.run({}), 2)
    line = "hotwhisk: a worker of generation 1 was ended by signal 9 (SIGKILL) during a request"
    assert line in first.stderr()
    expect_calm(first, 2)


def test_draining_worker_dies_with_half_an_answer_sent(server: Server) -> None:
    answer = 'def main(event): return {"text": "x" * event.get("size", 0)}\n'
    server.post(answer)
    with Connection(server.address, segment=1000, receive_buffer=4096) as reader:
        pid = control.pid(server, "serving")
        reader.send(run_request({"size": 4 << 20}) + run_request({}))
        begun = reader.socket.recv(1000)
        server.post(actions.plain(2))
        assert control.pid(server, "draining") == pid  # it waits for the slow reader
        expect_version(run_once(server.address, {}), 2)
        kill(pid)
        assert wait_gone(pid, 10.0)
        stream = begun + reader.read_to_end()
        assert stream.count(b"HTTP/1.1 ") == 1
        assert len(stream) < 4 << 20
    expect_calm(server, 2)


def test_draining_and_new_worker_die_at_once(first: Server, meet: Rendezvous) -> None:
    with Connection(first.address) as old, Connection(first.address) as new:
        new.run({})
        old.send_run({"hold": meet.path})
        draining = meet.wait_arrival().pid
        first.post(actions.plain(2))
        new.send_run({"hold": meet.path})
        current = meet.wait_arrival().pid
        with stopped(first.pid):
            kill(draining)
            kill(current)
        for connection in (old, new):
            expect_error(connection.read_response(), "signal 9")
            expect_version(connection.run({}), 2)
    expect_calm(first, 2)


# -- the spare -------------------------------------------------------------------------------


def expect_other_spare(server: Server, dead: int) -> None:
    """Expect that a new spare follows. The supervisor may get a question before the exit."""
    control.wait_until(
        server, lambda _: control.pids(server, "spare") not in ([], [dead]), "a new spare"
    )


def test_spare_dies_idle(first: Server) -> None:
    for version in (2, 3):
        dead = control.pid(first, "spare")
        kill(dead)
        assert wait_gone(dead, 10.0)
        expect_other_spare(first, dead)
        first.post(actions.plain(version))
        expect_version(run_once(first.address, {}), version)
    expect_calm(first, 3)


def test_spare_dies_with_unread_requests(server: Server) -> None:
    spare = control.pid(server, "spare")
    with ExitStack() as stack, stopped_until_killed(spare):
        asking = [stack.enter_context(Connection(server.address)) for _ in range(4)]
        for connection in asking:
            connection.send_run({})
        poster = stack.enter_context(Connection(server.address))
        poster.send(init_request(actions.plain(1)))
        control.wait_until(
            server, lambda found: control.connections(found, spare) == 5, "handed to the spare"
        )
        kill(spare)
        assert poster.read_response().status == 200
        for connection in asking:
            response = connection.read_response()
            if response.status == 200:  # read after the /init on the other connection
                expect_version(response, 1)
            else:
                expect_error(response, "locate a binary")
            expect_version(connection.run({}), 1)
    expect_calm(server, 1)


def test_spare_dies_before_it_has_removed_a_folder(first: Server, meet: Rendezvous) -> None:
    with Connection(first.address) as runner:
        runner.send_run({"hold": meet.path})
        held = meet.wait_arrival()
        first.post(actions.plain(2))
        spare = control.pid(first, "spare")
        with stopped_until_killed(spare):
            held.release()
            expect_version(runner.read_response(), 1)
            assert wait_gone(held.pid, 10.0)
            control.status(first)  # its exit is known, and a spare was ordered to clean up
            kill(spare)
            assert wait_gone(spare, 10.0)
    expect_calm(first, 2)


@pytest.mark.parametrize("parked", [False, True], ids=["unread", "parked"])
def test_spare_dies_with_requests_of_a_busy_action(
    first: Server, meet: Rendezvous, parked: bool
) -> None:
    spare = control.pid(first, "spare")
    with ExitStack() as stack:
        runner, *others = [stack.enter_context(Connection(first.address)) for _ in range(5)]
        for connection in (runner, *others):
            connection.run({})
        runner.send_run({"hold": meet.path})
        held = meet.wait_arrival()
        if not parked:
            stack.enter_context(stopped_until_killed(spare))
        for number, connection in enumerate(others):
            connection.send_run({"token": number})
        control.wait_until(
            first,
            lambda found: (
                found["parked"] == 4 if parked else control.connections(found, spare) == 4
            ),
            "with the spare",
        )
        kill(spare)
        assert wait_gone(spare, 10.0)
        control.status(first)
        held.release()
        expect_version(runner.read_response(), 1)
        for number, connection in enumerate(others):
            assert expect_version(connection.read_response(), 1).value("token") == number
    expect_calm(first, 1)


def test_spare_dies_while_it_answers_for_the_dead(first: Server, meet: Rendezvous) -> None:
    spare = control.pid(first, "spare")
    with Connection(first.address) as runner, stopped_until_killed(spare):
        runner.send_run({"hold": meet.path})
        worker = meet.wait_arrival()
        kill(worker.pid)
        assert worker.wait_gone(10.0)
        # The spare is stopped. It became the new worker or has the answer; both are right.
        control.wait_until(
            first, lambda found: found["answered_for_the_dead"] == 1, "given to the spare"
        )
        kill(spare)
        expect_error(runner.read_response(), "signal 9")
        expect_version(runner.run({}), 1)
    expect_calm(first, 1)


# -- the supervisor -------------------------------------------------------------------------


def test_supervisor_dies_and_takes_everybody_along(meet: Rendezvous) -> None:
    with (
        Server() as server,
        Connection(server.address) as poster,
        Connection(server.address) as runner,
    ):
        server.post(actions.plain(1))
        runner.send_run({"hold": meet.path})
        draining = meet.wait_arrival()
        server.post(actions.plain(2))
        poster.send(init_request(actions.held_at_import(3, meet.path)))
        candidate = meet.wait_arrival()
        assert len(server.left()) >= 4
        kill(server.pid)
        assert server.wait(10.0) == -signal.SIGKILL
        for held in (draining, candidate):
            assert held.wait_gone(10.0)
        assert not wait_few(server.left, 0, 10.0)
        for connection in (poster, runner):
            with pytest.raises(Lost):  # the stated limit of promise 2
                connection.read_response()


# -- all of them ----------------------------------------------------------------------------


def test_spare_and_worker_die_again_and_again(first: Server) -> None:
    """Kill them in turns, without a pause, and all on one connection."""
    version = 1
    with Connection(first.address) as kept:
        for turn in range(12):
            spare = control.pid(first, "spare")
            kill(spare)
            assert wait_gone(spare, 10.0)  # else it is the candidate that is killed
            control.status(first)
            expect_version(kept.run({}), version)
            version += 1
            assert kept.init(actions.plain(version)).status == 200
            if turn % 3 == 0:
                kill(int(kept.run({}).value("pid")))
            expect_version(kept.run({}), version)
    expect_calm(first, version)
