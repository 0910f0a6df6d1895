"""
Test the proofs: on a right server they hold, and each sees the faults that it is there
to see.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.prove import moved_connections, protocol, replacement, rest, slow
from tests.prove.__main__ import main
from tests.prove.outcome import Outcome
from tests.prove.registry import PROOFS
from tests.support import fake_runtime
from tests.support.client import Connection, Late, Lost, Refused
from tests.support.server import NotReady, Server
from tests.support.wire import Malformed, ResponseReader

COMMAND = (sys.executable, str(Path(fake_runtime.__file__)))


def test_http_proofs_hold_on_a_right_server() -> None:
    with Server(command=COMMAND) as server:
        for outcome in (
            replacement.replace_under_load(server, clients=8, replacements=3, between=50),
            moved_connections.move_connections(server, rounds=2, each=1, size=1 << 16),
            moved_connections.move_many(server, connections=50, rounds=1),
            slow.serve_slow_senders(server, senders=3, rounds=1),
            slow.serve_beside_silent(server, silent=10, requests=5),
        ):
            assert outcome.problems == []


@pytest.mark.parametrize("fault", ["stale", "drop", "deaf", "cross"])
def test_moved_connections_sees_a_fault(fault: str) -> None:
    with Server("--fault", fault, command=COMMAND) as server:
        assert moved_connections.move_connections(server, rounds=2, each=1, size=1 << 10).problems


def test_leaks_are_seen() -> None:
    with Server("--fault", "hoard", command=COMMAND) as server:
        outcome = rest.leak_nothing(server, replacements=40, warm=5)
    seen = " ".join(outcome.problems)
    assert "descriptors" in seen
    assert "memory" in seen


def test_smuggled_requests_are_seen() -> None:
    with Server(command=COMMAND) as server:
        outcome = Outcome("")
        server.replace(1)
        protocol.garbage(server, outcome)
    assert any("got past" in problem for problem in outcome.problems)


def test_a_server_that_never_is_ready() -> None:
    leaves = (sys.executable, "-c", "raise SystemExit('no')")
    with pytest.raises(NotReady, match="left"), Server(command=leaves):
        pass


def test_names_are_unique_and_sizes_fit() -> None:
    names = [proof.name for proof in PROOFS]
    assert len(names) == len(set(names))
    for proof in PROOFS:
        known = proof.function.__code__.co_varnames
        assert {*proof.short, *proof.long} <= set(known), proof.name


def test_the_command_fails_when_a_proof_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with Server("--fault", "deaf", command=COMMAND) as server:
        assert main(["--url", server.url, "--short", "--only", "moved"]) == 1
    assert "FAILS" in capsys.readouterr().out
    with Server(command=COMMAND) as server:
        assert main(["--url", server.url, "--short", "--only", "moved"]) == 0


@pytest.mark.parametrize(
    "stream",
    [
        b"SSH-2.0\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
    ],
)
def test_the_reader_is_strict(stream: bytes) -> None:
    reader = ResponseReader()
    reader.feed(stream)
    with pytest.raises(Malformed):
        reader.next()


def test_the_reader_counts_every_byte() -> None:
    reader = ResponseReader()
    reader.feed(b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}more")
    response = reader.next()
    assert response is not None
    assert (response.json(), reader.interim, reader.pending) == ({}, [100], 4)


def test_how_a_client_can_fail() -> None:
    with Server("--fault", "none", command=COMMAND) as server:
        address = server.address
        with Connection(address, timeout=0.05) as silent, pytest.raises(Late):
            silent.read_response()
        with Connection(address) as ended:
            ended.half_close()
            with pytest.raises(Lost):
                ended.read_response()
    with pytest.raises(Refused):
        Connection(address)
