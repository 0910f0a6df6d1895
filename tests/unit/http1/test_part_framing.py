"""The framing of a response in parts, against h11: any parts, in any pieces, cut anywhere."""

from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotwhisk.http1.part_framing import LAST_CHUNK, chunk, parts_head

PARTS = st.lists(st.binary(max_size=300), max_size=8)


def client() -> h11.Connection:
    """Return h11's side of the connection, after a request."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="POST", target="/run", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    return connection


def read(connection: h11.Connection, pieces: list[bytes]) -> tuple[h11.Response, bytes, bool]:
    """Return the head, the data, and whether the response is whole."""
    head, data, whole = None, b"", False
    for piece in pieces:
        connection.receive_data(piece)
        while (event := connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                data += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                whole = True
            else:
                break
    assert head is not None
    return head, data, whole


def cut(wire: bytes, at: list[int]) -> list[bytes]:
    """Return the bytes in pieces, as a network might deliver them."""
    places = sorted({0, *(each % (len(wire) + 1) for each in at), len(wire)})
    return [wire[start:end] for start, end in pairwise(places)]


def in_chunks(parts: list[bytes]) -> bytes:
    return b"".join(b"".join(chunk(part)) for part in parts)


@given(PARTS, st.lists(st.integers(0, 5000), max_size=8), st.booleans())
def test_h11_reads_all_parts_and_the_end(
    parts: list[bytes], at: list[int], keep_alive: bool
) -> None:
    head = parts_head("text/plain", b"X-More: 1\r\n", keep_alive=keep_alive, chunked=True)
    found, data, whole = read(client(), cut(head + in_chunks(parts) + LAST_CHUNK, at))
    assert (data, whole) == (b"".join(parts), True)
    assert found.status_code == 200
    headers = dict(found.headers)
    assert headers[b"content-type"] == b"text/plain"
    assert headers[b"x-more"] == b"1"
    assert headers.get(b"connection") == (None if keep_alive else b"close")


@given(PARTS, st.integers(0, 5000))
def test_a_response_that_is_cut_anywhere_is_not_taken_for_a_whole_one(
    parts: list[bytes], at: int
) -> None:
    head = parts_head("text/plain", b"", keep_alive=True, chunked=True)
    wire = head + in_chunks(parts) + LAST_CHUNK
    sent = wire[: len(head) + at % (len(wire) - len(head))]
    connection = client()
    _, _, whole = read(connection, [sent])
    assert not whole
    with pytest.raises(h11.RemoteProtocolError):
        read(connection, [b""])


@given(PARTS)
def test_a_response_to_an_http_1_0_client_ends_with_its_connection(parts: list[bytes]) -> None:
    head = parts_head("text/plain", b"", keep_alive=False, chunked=False)
    _, data, whole = read(client(), [head + b"".join(parts), b""])
    assert (data, whole) == (b"".join(parts), True)


def test_an_empty_part_is_no_chunk_because_that_would_be_the_last() -> None:
    assert chunk(b"") == []
