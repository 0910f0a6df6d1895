"""
The Python calls of one ``/run`` on a kept connection: a count, so no machine is too
slow for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

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
    calls = count_calls(supervised.callback(client))
    assert client.response().status == 200
    assert len(calls) <= MOST[openwhisk], calls


def count_calls(callback: Callable[[], None]) -> list[str]:
    """Return the Python functions that are called, one after the other."""
    calls: list[str] = []

    def note(frame: object, event: str, _: object) -> None:
        if event == "call":
            calls.append(frame.f_code.co_qualname)  # type: ignore[attr-defined]

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        callback()
    finally:
        sys.setprofile(before)
    return calls
