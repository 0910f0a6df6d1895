"""
Let an action lie to its supervisor.

What it sends, and what it writes into the shared table, can end its own worker only. The server
goes on, and the next version serves.
"""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from hotwhisk.ipc.messages import (
    Failed,
    InitReceived,
    Message,
    Ready,
    Released,
    Spawned,
    SpillClosed,
    SpillCreated,
    TemplateReady,
)
from hotwhisk.ipc.packets import encode
from tests.support import tree
from tests.support.client import Connection, init_once, run_once
from tests.support.hostile_action import hostile_source
from tests.support.server import Server
from tests.support.waiting import wait_gone
from tests.support.wire import ClientError

from . import control

pytestmark = pytest.mark.slow

DIGEST = "sha256:" + 64 * "0"

LIES = {
    "a posted body in no file": b'[1,"init_received",{"number":0,"spill":0}]',
    "a drop of a list": b'[1,"spill_closed",{"spill":[1,2]}]',
    "a release that is a number": b'[1,"released",{"connections":3}]',
    "a release of triples": b'[1,"released",{"connections":[[0,1,2]]}]',
    "a template without descriptors": b'[1,"template_ready",{"pid":5}]',
    "a deposit of a list": b'[1,"spill_created",{"spill":[1]}]',
    "a number that is true": b'[1,"init_received",{"number":true,"spill":1}]',
    "a number that overflows": b'[1,"spill_closed",{"spill":18446744073709551616}]',
    "fields that are a list": b'[1,"ready",[]]',
    "an order": b'[1,"load",{}]',
    "a kind that does not exist": b'[1,"nonsense",{}]',
    "bytes": b"\xff\x00\xfe",
    "a drop of what is not there": encode(SpillClosed(12345)),
    "ready, though it serves": encode(Ready(DIGEST)),
    "failed, though it serves": encode(Failed(502, "no")),
    "a template's word": encode(Spawned(4711)),
    "a deposit without a file": encode(SpillCreated(7)),
}


def attack(server: Server, *packets: bytes, plain: bool = True, seed: int = 1) -> None:
    """Let the current version send these packets from its handler."""
    texts = [each.decode("latin-1") for each in packets]
    with Connection(server.address) as connection, suppress(ClientError, TimeoutError):
        connection.run({"attack": {"packets": texts, "words": 0, "seed": seed, "plain": plain}})


def expect_next(server: Server, number: int) -> None:
    """Expect that the next version is loaded, and answers."""
    server.replace(number)
    assert json.loads(run_once(server.address, {}).body)["version"] == number


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_on_the_control_channel_ends_the_worker_and_not_the_server(
    server: Server, lie: str
) -> None:
    server.post(hostile_source())
    worker = control.pid(server, "serving")
    attack(server, LIES[lie])
    control.wait_until(server, lambda found: not alive(found, worker), "the liar is ended")
    assert f"worker {worker} is ended: " in server.stderr()
    expect_next(server, 2)


def alive(found: control.Status, process: int) -> bool:
    return process in [worker["pid"] for worker in found["generation"]["workers"]]


def loading(message: Message) -> str:
    """Return a version that sends a message to the supervisor while it is loaded."""
    packet = encode(message).decode("latin-1")
    return hostile_source({"packets": [packet], "words": 0, "seed": 1, "plain": True})


@pytest.mark.parametrize(
    "message",
    [
        Failed(200, "everything is fine"),
        Failed(204, ""),
        Ready("sha256:0\r\nSet-Cookie: stolen=1"),
        Ready("anything"),
        TemplateReady(0),
        TemplateReady(1),
        Released([[99, 1]]),
        InitReceived(0, 1, 0, 10),
    ],
    ids=repr,
)
def test_a_version_that_lies_while_it_loads_does_not_become_current(
    server: Server, message: Message
) -> None:
    server.replace(1)
    response = init_once(server.address, loading(message))
    with Connection(server.address) as connection:
        answer = connection.run({})
    assert "set-cookie" not in answer.headers
    if isinstance(message, Released):  # it has none of these: a real one can cross with a recall
        assert response.status == 200
    else:
        assert response.status >= 400, "its sender was told that it is current"
        assert json.loads(answer.body)["version"] == 1
    expect_next(server, 2)


def test_the_server_and_its_process_group_outlive_a_template_with_no_process(
    server: Server,
) -> None:
    server.replace(1)
    assert init_once(server.address, loading(TemplateReady(0))).status >= 400
    expect_next(server, 2)
    assert server.process.poll() is None


def test_descriptors_that_come_with_lies_are_closed(server: Server) -> None:
    server.post(hostile_source())
    run_once(server.address, {})
    before = len(tree.descriptors(server.pid))
    for number in range(2, 12):
        server.post(hostile_source())
        liar = control.pid(server, "serving")
        attack(server, *LIES.values(), plain=False, seed=number)
        assert wait_gone(liar, 10.0)  # messages that are unread when it is killed are lost
        expect_next(server, number)
    control.wait_until(
        server,
        lambda _: len(tree.descriptors(server.pid)) <= before + 4,
        f"{before} descriptors and four more",
    )


def test_a_table_full_of_scribbles_ends_no_server(server: Server) -> None:
    for number in range(2, 8):
        server.post(hostile_source())
        with Connection(server.address) as connection:
            plan = {"packets": [], "words": 2000, "seed": number}
            with suppress(ClientError, TimeoutError):  # the answer to its own caller is not checked
                connection.send_run({"attack": plan})
                connection.read_response(5.0)
        expect_next(server, number)
    assert server.process.poll() is None


def test_a_stop_ends_though_the_table_says_that_all_is_in_flight() -> None:
    with Server("--drain-timeout", "1", "--connections", "32") as server:
        server.post(hostile_source())
        plan = {"packets": [], "words": 500, "seed": 1, "phases": [4, 5, 7]}
        with Connection(server.address) as connection:
            with suppress(ClientError, TimeoutError):
                connection.send_run({"attack": plan})
                connection.read_response(5.0)
            server.terminate()
            assert server.wait(8.0) == 0


SHRINKING = """\
import os

def main(event):
    tried = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if event.get("shrink") and os.readlink(f"/proc/self/fd/{name}").startswith("/memfd:"):
                tried.append(0)
                os.ftruncate(int(name), 0)
                tried[-1] = 1
        except OSError:
            pass
    return {"version": 0, "tried": tried}
"""


def test_a_memory_file_does_not_shrink_under_the_next_version(server: Server) -> None:
    server.post(SHRINKING)
    body = json.dumps({"value": {"text": "x" * 300_000}}).encode()
    head = b"POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    with Connection(server.address) as half, Connection(server.address) as other:
        half.send(head + body[:200_000])
        other.run({})
        other.run({})  # the half is read, because it came before both
        tried = json.loads(other.run({"shrink": True}).body)["tried"]
        assert tried, "there was no memory file to shrink"
        assert not any(tried)
        server.replace(2)
        half.send(body[200_000:])
        assert json.loads(half.read_response().body)["version"] == 2
    assert "signal 7" not in server.stderr()
