"""The Python calls of a ``/run`` on a kept connection: a count, which no slow machine changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.calls import calls_of
from tests.support.wire import run_request
from tests.unit.worker.supervised import Supervised

MOST = {False: 36, True: 48}
"""For each profile; under OpenWhisk the lines that end the activation's log are among them."""


@pytest.mark.parametrize("openwhisk", MOST)
def test_a_run_on_a_kept_connection_costs_few_calls(
    supervise: Callable[..., Supervised], openwhisk: bool
) -> None:
    supervised = supervise(openwhisk=openwhisk)
    supervised.serve(lambda event: event)
    client = supervised.client()
    for _ in range(2):  # the second request finds everything as each later one does
        client.send(run_request({"name": "Mike"}))
        supervised.turn()
        assert client.response().json() == {"name": "Mike"}
    client.send(run_request({"name": "Mike"}))
    calls = calls_of(supervised.callback(client))
    assert client.response().status == 200
    assert len(calls) <= MOST[openwhisk], calls
