"""Few open files are allowed, and every connection has half a request during a replacement."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.support.client import Connection
from tests.support.server import Server
from tests.support.wire import init_request, run_request

from . import actions, control

FEW = 200
WORKERS = 16


def all_serve(found: control.Status) -> bool:
    workers = found["generation"]["workers"]
    return [each["state"] for each in workers].count("serving") == WORKERS


@pytest.mark.slow
def test_a_replacement_finds_the_descriptors_that_it_needs() -> None:
    request = run_request({"token": "x" * 5000})
    with (
        Server("--workers", str(WORKERS), nofile=FEW) as server,
        Connection(server.address) as poster,
        ExitStack() as stack,
    ):
        assert poster.init(actions.plain(1)).status == 200
        control.wait_until(server, all_serve, "all workers serve")
        callers = [stack.enter_context(Connection(server.address)) for _ in range(FEW // 3)]
        for caller in callers:
            caller.send(request[:-2000])
        poster.send(init_request(actions.plain(2)))
        assert poster.read_response().status == 200
        poster.close()
        for caller in callers:
            caller.send(request[-2000:])
        for caller in callers:  # those that were not accepted yet have room when others leave
            assert caller.read_response().value("version") == 2
            caller.close()
        assert not control.status(server)["deaths"], server.stderr()
