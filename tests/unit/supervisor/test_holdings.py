"""
What the supervisor itself writes to a client, on a real connection.
"""

from __future__ import annotations

import socket

from hotwhisk.ledger import Ledger, Phase
from hotwhisk.supervisor.holdings import Holdings


def test_an_answer_for_which_there_is_no_room_ends_the_connection() -> None:
    holdings = Holdings(Ledger(2))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=5)
        server, _ = listener.accept()
    with client, server:
        server.setblocking(False)
        earlier = 0
        try:
            while True:
                earlier += server.send(b"x" * 65536)
        except BlockingIOError:
            pass
        number = holdings.admit(server.fileno())
        holdings.write(number, b"answer")
        assert holdings._ledger.phase(number) is Phase.IDLE
        # The next answer would be taken for this one.
        read = 0
        while data := client.recv(1 << 20):
            read += len(data)
        assert read == earlier
