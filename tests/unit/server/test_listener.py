from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing

import pytest

from hotwhisk.errors import StartError
from hotwhisk.server.listener import bound_address, inherited_listener, open_listener

if not sys.platform.startswith("linux"):
    pytest.skip("serve needs Linux", allow_module_level=True)


def test_a_connection_waits_before_anybody_accepts() -> None:
    with closing(open_listener("127.0.0.1", 0)) as listener:
        host, port = bound_address(listener)
        assert host == "127.0.0.1"
        with socket.create_connection((host, port), timeout=5) as client:
            accepted = socket.socket(fileno=listener._accept()[0])
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert accepted.getpeername() == client.getsockname()


def test_the_listener_does_not_block_and_is_closed_on_exec() -> None:
    with closing(open_listener("localhost", 0)) as listener:
        assert not os.get_inheritable(listener.fileno())
        with pytest.raises(BlockingIOError):
            listener._accept()


def test_a_taken_port_is_told_with_a_way_out() -> None:
    with closing(open_listener("127.0.0.1", 0)) as listener:
        _, port = bound_address(listener)
        with pytest.raises(StartError, match=f"port {port} is taken; .*--port 0"):
            open_listener("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no such name"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(StartError, match="is no address of this machine"):
        open_listener(host, 0)


def test_without_variables_nothing_is_inherited() -> None:
    assert inherited_listener({}, 1) is None


def test_variables_for_another_process_are_not_believed_and_removed() -> None:
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "x"}
    assert inherited_listener(environ, 2) is None
    assert environ == {}


def test_two_sockets_are_refused() -> None:
    with pytest.raises(StartError, match="expected one socket, got LISTEN_FDS=2"):
        inherited_listener({"LISTEN_FDS": "2", "LISTEN_PID": "7"}, 7)


INHERIT = """
import os, sys
from hotwhisk.errors import StartError
from hotwhisk.server.listener import inherited_listener, bound_address
os.dup2(int(sys.argv[1]), 3)
try:
    listener = inherited_listener({"LISTEN_FDS": "1", "LISTEN_PID": "7"}, 7)
except StartError as error:
    print(error)
else:
    print(bound_address(listener)[1], os.get_inheritable(3))
"""


def inherit(descriptor: int) -> str:
    return subprocess.run(
        [sys.executable, "-c", INHERIT, str(descriptor)],
        pass_fds=[descriptor],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_the_listener_of_systemd_is_used() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert inherit(server.fileno()) == f"{server.getsockname()[1]} False"


def test_what_is_no_tcp_listener_is_refused() -> None:
    with socket.socket() as idle, socket.socket(socket.AF_UNIX) as other:
        assert "expected a TCP socket that listens" in inherit(idle.fileno())
        assert "expected a TCP socket that listens" in inherit(other.fileno())
    with open(os.devnull) as file:
        assert "is no socket" in inherit(file.fileno())


def test_a_port_that_a_clients_connection_has_is_told_as_such() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as peer,
        socket.create_connection(peer.getsockname()) as client,
    ):
        port = client.getsockname()[1]
        with pytest.raises(StartError) as caught:
            open_listener("127.0.0.1", port)
        told = str(caught.value)
        assert f"port {port} is taken, but nothing listens there" in told
        # Earlier connections from the same port, to other peers, may not be forgotten yet.
        named = told.partition("a connection to ")[2].partition(", and free again")[0]
        assert f"port {peer.getsockname()[1]}" in named.split(", ")
        with pytest.raises(StartError, match="is taken; stop what listens there"):
            open_listener("127.0.0.1", peer.getsockname()[1])
