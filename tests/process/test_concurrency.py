"""More than one run at a time: worker processes for all handlers, coroutines within one worker."""

from __future__ import annotations

import os
import select
import signal
import time
from collections import Counter
from contextlib import ExitStack

import pytest

from tests.support.client import Connection, init_once, run_once
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server
from tests.support.waiting import wait_gone
from tests.support.wire import post, run_request

from . import actions, control

pytestmark = pytest.mark.slow

# Waits at a rendezvous without holding up the loop, or, if told to, with.
ASYNC = """\
import asyncio, os, socket, time

at_once = most = 0

async def main(event):
    global at_once, most
    at_once += 1
    most = max(most, at_once)
    if "hold" in event:
        reader, writer = await asyncio.open_unix_connection(event["hold"])
        writer.write(str(os.getpid()).encode())
        await reader.read(1)
        writer.close()
        await writer.wait_closed()
    if "block" in event:
        with socket.socket(socket.AF_UNIX) as end:
            end.connect(event["block"])
            end.sendall(str(os.getpid()).encode())
            end.recv(1)
    at_once -= 1
    return {"version": %d, "pid": os.getpid(), "token": event.get("token"), "most": most}
"""

COUNTING = """\
import os, socket

inside = 0

def main(event):
    global inside
    inside += 1
    assert inside == 1
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(event["hold"])
        end.sendall(str(os.getpid()).encode())
        end.recv(1)
    inside -= 1
    return {"token": event["token"]}
"""


def serving(server: Server, count: int) -> None:
    control.wait_until(
        server,
        lambda found: (
            Counter(w["state"] for w in found["generation"]["workers"])["serving"] == count
        ),
        f"{count} workers",
    )


# -- worker processes -----------------------------------------------------------------------


def test_workers_share_the_connections_evenly() -> None:
    with Server("--workers", "3") as server, ExitStack() as stack:
        server.post(actions.plain(1))
        serving(server, 3)
        control.wait_until(server, lambda found: not found["connections"], "the post is gone")
        for _ in range(12):
            stack.enter_context(Connection(server.address))
        found = control.wait_until(server, lambda found: found["connections"] == 12, "all accepted")
        # Nothing is sent: a worker that is late with a request loses its connections to others.
        workers = found["generation"]["workers"]
        spread = [each["connections"] for each in workers if each["state"] == "serving"]
        assert spread == [4, 4, 4]


def test_workers_run_beside_each_other() -> None:
    with Server("--workers", "3") as server, ExitStack() as stack:
        meet = stack.enter_context(Rendezvous())
        server.post(actions.plain(1))
        serving(server, 3)
        opened = [stack.enter_context(Connection(server.address)) for _ in range(3)]
        for number, connection in enumerate(opened):
            connection.send_run({"hold": meet.path, "token": number})
        held = [meet.wait_arrival() for _ in opened]
        assert len({each.pid for each in held}) == 3
        for each in held:
            each.release()
        for number, connection in enumerate(opened):
            assert connection.read_response().value("token") == number


def test_connections_of_a_busy_worker_go_to_an_idle_one() -> None:
    with Server("--workers", "2") as server, ExitStack() as stack:
        meet = stack.enter_context(Rendezvous())
        server.post(actions.plain(1))
        serving(server, 2)
        opened = [stack.enter_context(Connection(server.address)) for _ in range(6)]
        pids = [connection.run({}).value("pid") for connection in opened]
        opened[0].send_run({"hold": meet.path})
        held = meet.wait_arrival()
        for connection, pid in zip(opened[1:], pids[1:], strict=True):
            assert connection.run({}).value("pid") != held.pid or pid != pids[0]
        held.release()
        assert opened[0].read_response().status == 200


def test_synchronous_handlers_never_overlap(server: Server) -> None:
    server.post(COUNTING)
    with ExitStack() as stack, Rendezvous() as meet:
        opened = [stack.enter_context(Connection(server.address)) for _ in range(20)]
        for number, connection in enumerate(opened):
            connection.send_run({"hold": meet.path, "token": number})
        held = meet.wait_arrival()
        # All others are read and parked: a request that could overlap would be running by now.
        control.wait_until(server, lambda found: found["parked"] == 19, "the others parked")
        assert not select.select([meet._listener], [], [], 0)[0]
        held.release()
        for _ in range(19):
            meet.wait_arrival().release()
        for number, connection in enumerate(opened):
            response = connection.read_response()
            assert response.status == 200, response
            assert response.value("token") == number


# -- coroutines -----------------------------------------------------------------------------


def test_coroutines_overlap_in_one_process(server: Server) -> None:
    server.post(ASYNC % 1)
    with ExitStack() as stack, Rendezvous() as meet:
        opened = [stack.enter_context(Connection(server.address)) for _ in range(50)]
        for number, connection in enumerate(opened):
            connection.send_run({"hold": meet.path, "token": number})
        held = [meet.wait_arrival() for _ in opened]  # all are inside, none has finished
        assert len({each.pid for each in held}) == 1
        for each in held:
            each.release()
        for number, connection in enumerate(opened):
            response = connection.read_response()
            assert response.value("token") == number
            assert response.value("most") == 50


def test_pipelined_coroutines_are_answered_in_order(server: Server) -> None:
    server.post(ASYNC % 1)
    with Rendezvous() as meet, Connection(server.address) as connection:
        connection.send(
            run_request({"hold": meet.path, "token": 0})
            + b"".join(run_request({"token": number}) for number in range(1, 6))
        )
        held = meet.wait_arrival()
        assert run_once(server.address, {"token": "beside"}).value("token") == "beside"
        held.release()
        answers = [connection.read_response() for _ in range(6)]
        assert [answer.value("token") for answer in answers] == list(range(6))
        assert answers[-1].value("most") == 2


def test_coroutines_in_flight_are_answered_by_their_own_version(server: Server) -> None:
    server.post(ASYNC % 1)
    with ExitStack() as stack, Rendezvous() as meet:
        kept = stack.enter_context(Connection(server.address))
        old = int(kept.run({}).value("pid"))
        running = [stack.enter_context(Connection(server.address)) for _ in range(10)]
        for number, connection in enumerate(running):
            connection.send_run({"hold": meet.path, "token": number})
        held = [meet.wait_arrival() for _ in running]
        assert init_once(server.address, ASYNC % 2).status == 200
        for answer in (kept.run({}), run_once(server.address, {})):
            assert answer.value("version") == 2
        for each in held:
            each.release()
        for number, connection in enumerate(running):
            answer = connection.read_response()
            assert (answer.value("version"), answer.value("token")) == (1, number)
            assert connection.run({}).value("version") == 2
        assert wait_gone(old, 10.0)


def test_death_among_coroutines_answers_each(server: Server) -> None:
    server.post(ASYNC % 1)
    with ExitStack() as stack, Rendezvous() as meet:
        running = [stack.enter_context(Connection(server.address)) for _ in range(10)]
        for connection in running:
            connection.send_run({"hold": meet.path})
        held = [meet.wait_arrival() for _ in running]
        os.kill(held[0].pid, signal.SIGKILL)
        for connection in running:
            response = connection.read_response()
            assert (response.status, bool(response.error)) == (502, True)
            assert connection.run({}).value("version") == 1


def test_blocked_loop_is_found_and_left() -> None:
    with Server("--workers", "2") as server, ExitStack() as stack:
        meet = stack.enter_context(Rendezvous())
        server.post(ASYNC % 1)
        serving(server, 2)
        opened = [stack.enter_context(Connection(server.address)) for _ in range(6)]
        pids = [connection.run({}).value("pid") for connection in opened]
        stuck, mates = opened[0], [c for c, pid in zip(opened, pids, strict=True) if pid == pids[0]]
        stuck.send_run({"block": meet.path, "token": "stuck"})
        held = meet.wait_arrival()
        for number, mate in enumerate(mates[1:]):
            mate.send_run({"token": number})
        for number, mate in enumerate(mates[1:]):
            answer = mate.read_response(timeout=5.0)
            assert answer.value("token") == number
            assert answer.value("pid") != held.pid
        held.release()
        assert stuck.read_response().value("token") == "stuck"
        assert stuck.run({}).status == 200


def test_blocked_loop_is_replaced_and_ended_at_its_deadline(server: Server) -> None:
    server.post(ASYNC % 1)
    with ExitStack() as stack, Rendezvous() as meet:
        stuck, kept = (stack.enter_context(Connection(server.address)) for _ in range(2))
        kept.run({})
        due = time.time() + 2.0
        stuck.send_run({"block": meet.path}, deadline=str(int(due * 1000)))
        held = meet.wait_arrival()
        assert init_once(server.address, ASYNC % 2).status == 200
        assert kept.run({}).value("version") == 2
        response = stuck.read_response()
        assert response.error
        assert -0.05 <= time.time() - due < 2.0
        assert held.wait_gone(5.0)
        assert stuck.run({}).value("version") == 2


def test_coroutine_of_ready_is_run(server: Server) -> None:
    source = "import asyncio, hotwhisk\nseen = []\n@hotwhisk.on_startup\nasync def ready():\n    await asyncio.sleep(0)\n    seen.append(1)\n"
    for kind in ("def", "async def"):
        server.post(f"{source}{kind} main(event): return {{'seen': seen}}\n")
        assert run_once(server.address, {}).value("seen") == [1]


def test_a_plain_handler_beside_a_coroutine_ready_may_run_a_loop_of_its_own(server: Server) -> None:
    source = (
        "import asyncio, hotwhisk\n@hotwhisk.on_startup\nasync def ready(): await asyncio.sleep(0)\n"
        "async def double(n): return {'n': 2 * n}\n"
        "def main(event): return asyncio.run(double(event['n']))\n"
    )
    assert init_once(server.address, source).status == 200
    assert run_once(server.address, {"n": 4}).json() == {"n": 8}


# -- the context ----------------------------------------------------------------------------

CONTEXT = """
{kind} main(event, context):
    return {{
        "event": event,
        "activation_id": context.activation_id,
        "action_name": context.action_name,
        "action_version": context.action_version,
        "namespace": context.namespace,
        "transaction_id": context.transaction_id,
        "deadline": context.deadline,
        "remaining": min(context.remaining_time(), 1e9),
    }}
"""


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_context(server: Server, kind: str) -> None:
    server.post(CONTEXT.format(kind=kind))
    deadline = int((time.time() + 60) * 1000)
    keys = {
        "activation_id": "a1",
        "action_name": "/guest/greet",
        "action_version": "0.0.7",
        "namespace": "guest",
        "transaction_id": "t1",
    }
    with Connection(server.address) as connection:
        answer = connection.run({"n": 1}, deadline=str(deadline), **keys).json()
        assert 0 < answer.pop("remaining") <= 60
        assert answer == {"event": {"n": 1}, "deadline": deadline, **keys}
        bare = connection.run({}).json()
        assert bare.pop("remaining") == 1e9
        assert bare == {"event": {}, "deadline": None, **dict.fromkeys(keys, "")}


def test_only_a_required_second_parameter_gets_the_context(server: Server) -> None:
    server.post("def main(event, more='own'): return {'more': str(more)}\n")
    assert run_once(server.address, {}).value("more") == "own"


def test_event_may_be_a_list(server: Server) -> None:
    server.post("def main(event): return event[::-1]\n")
    with Connection(server.address) as connection:
        connection.send(post("/run", b'{"value": [1, 2, 3]}'))
        assert connection.read_response().json() == [3, 2, 1]


def test_garbage_collection_spares_runs_in_flight(server: Server) -> None:
    """The worker keeps a reference to each run: asyncio holds its tasks by weak references only."""
    source = "import gc\nasync def main(event):\n    gc.collect()\n    return await main_(event)\n"
    server.post((ASYNC % 1).replace("async def main(", "async def main_(") + source)
    with Rendezvous() as meet, Connection(server.address) as running:
        running.send_run({"hold": meet.path})
        held = meet.wait_arrival()
        for _ in range(3):
            assert run_once(server.address, {}).status == 200  # collects
        held.release()
        assert running.read_response().status == 200
