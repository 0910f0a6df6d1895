"""
The Python calls of an ``/init`` in the supervisor, until its answer: a count, so no machine is too
slow for it.
"""

from __future__ import annotations

from collections.abc import Callable

from hotwhisk.ipc.messages import InitReceived, Ready
from hotwhisk.supervisor.workers import State
from hotwhisk.worker.spill import make_file
from tests.support.calls import calls_of
from tests.unit.supervisor.scripted import Scripted

MOST_CALLS, MOST_FILES = 157, 28


def test_an_init_costs_the_supervisor_few_calls(script: Callable[..., Scripted]) -> None:
    scripted = script()
    old, number = scripted.serve(), scripted.connect()
    scripted.system.has_barrier = True  # as on every Linux of today
    scripted.tick()  # the version is not fresh any more, so the next spare is forked after the load
    init = InitReceived(number, 5, 0, 100, new=True)
    scripted.system.ends[old].send(init, (make_file(100),))
    calls = calls_of(lambda: scripted.supervisor.wait(0.0))
    scripted.system.ends[scripted.worker(State.LOADING)].send(Ready("sha256:" + "0" * 64))
    calls += calls_of(lambda: scripted.supervisor.wait(0.0))
    assert scripted.clients[number].recv(100).startswith(b"HTTP/1.1 200 ")
    names = [name for _, name in calls]
    calls = calls[: names.index("Sockets.send_response") + 1]
    assert len(calls) <= MOST_CALLS, calls
    assert len({file for file, _ in calls}) <= MOST_FILES
