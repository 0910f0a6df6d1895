"""An exception from outside, in any line of ours: the request is answered once all the same."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from types import FrameType
from typing import Any

from hotwhisk.ipc.scoreboard import Phase
from hotwhisk.worker import connection, connections, part_stream, requests, streaming
from tests.support.wire import post, run_request
from tests.unit.worker.supervised import SLOT, Client, Supervised

ASK = run_request({"name": "Mike"})
ANSWER = (200, b'{"name":"Mike"}\n')
OURS = {each.__file__ for each in (connection, connections, requests, part_stream, streaming)}


class FromOutsideError(Exception):
    """What a thread, a trace function or the lack of memory may raise in our code."""


@contextmanager
def raised_at(line: int) -> Iterator[list[str]]:
    """Raise an exception in the given line of ours that runs meanwhile; the list names it."""
    left, places = [line], list[str]()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in OURS:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                places.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}")
                raise FromOutsideError
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield places
    finally:
        sys.settrace(before)


def interrupt_each_line(
    supervised: Supervised, parts: list[bytes], expected: tuple[int, bytes]
) -> list[str]:
    """
    Send a request, and raise in one line of ours; once for each line.

    Each part of the request is read before the next one is sent. Return the lines in which the
    exception became the response, as if the handler had raised it.
    """
    client, ended = supervised.client(), []
    for line in count(1):
        with raised_at(line) as places:
            for part in parts:
                client.send(part)
                try:
                    supervised.callback(client)()
                except FromOutsideError:  # raised in the frame that the loop calls again
                    supervised.callback(client)()
        supervised.turn_until(lambda: client.answered)
        response = client.response()
        if "FromOutsideError" in str(response.error):
            ended += places
        else:
            assert (response.status, response.body) == expected, places
        supervised.turn_until(lambda: supervised.phase(client) is Phase.IDLE)
        assert not client.answered, places
        assert supervised.scoreboard.claimed(SLOT) == -1, places
        if not places:
            return ended
    raise AssertionError


def test_a_request_is_answered_once_whatever_line_is_interrupted(supervised: Supervised) -> None:
    ended = interrupt_each_line(supervised, [ASK], ANSWER)
    assert ended, "some exceptions break off a run"
    assert {place.partition(".")[0] for place in ended} == {"Requests", "Connection"}


def test_a_request_in_two_parts_is_answered_once_whatever_line_is_interrupted(
    supervised: Supervised,
) -> None:
    assert interrupt_each_line(supervised, [ASK[:50], ASK[50:]], ANSWER)


def test_two_requests_that_came_at_once_are_both_answered_whatever_line_is_interrupted(
    supervised: Supervised,
) -> None:
    client = supervised.client()
    for line in count(1):
        client.send(ASK + ASK)
        with raised_at(line) as places:
            try:
                supervised.callback(client)()
            except FromOutsideError:
                supervised.callback(client)()
        for _ in range(2):
            supervised.turn_until(lambda: client.answered or client.has_response)
            assert client.response().status == 200, places
        supervised.turn_until(lambda: supervised.phase(client) is Phase.IDLE)
        assert not client.answered, places
        if not places:
            return


def test_a_request_that_is_refused_is_refused_whatever_line_is_interrupted(
    supervised: Supervised,
) -> None:
    wrong = post("/run", b"[]")
    form = 'send {\\"value\\": {…}} with the event, as hotwhisk invoke -p KEY VALUE does'
    text = f"/run: the body must be a JSON object, not an array ({form})"
    body = f'{{"error":"{text}"}}\n'.encode()
    interrupt_each_line(supervised, [wrong], (400, body))


def test_a_stream_is_whole_or_cut_whatever_line_is_interrupted(supervised: Supervised) -> None:
    supervised.serve(lambda _: (part for part in ("a", "b")))
    client, found = supervised.client(), set[str]()
    for line in count(1):
        with raised_at(line) as places:
            client.send(ASK)
            try:
                supervised.callback(client)()
            except FromOutsideError:
                supervised.callback(client)()
        supervised.turn_until(partial(is_over, supervised, client))
        if supervised.phase(client) is Phase.CLOSED:
            found.add("cut")
            assert not read_to_end(client).endswith(b"0\r\n\r\n"), places
            supervised.clients.pop().close()
            client = supervised.client()
        else:
            response = client.response()
            found.add("whole" if response.body == b"ab" else "error")
            assert response.body == b"ab" or "FromOutsideError" in str(response.error), places
        assert supervised.scoreboard.claimed(SLOT) == -1, places
        if not places:
            break
    assert found == {"whole", "cut", "error"}


def is_over(supervised: Supervised, client: Client) -> bool:
    """Return whether a client has its response, whole or cut."""
    phase = supervised.phase(client)
    return phase is Phase.CLOSED or (phase is Phase.IDLE and client.answered)


def read_to_end(client: Client) -> bytes:
    data = b""
    while more := client.socket.recv(65536):
        data += more
    return data
