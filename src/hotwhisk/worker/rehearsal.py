"""
Answer a sample request in a worker that is about to be ready, as a rehearsal of its only run.

A forked process copies each page of memory when it first writes to it, and Python writes to each
object that it uses. So the first request of a process takes a millisecond longer than the next one.
With ``--fresh`` each request is the first one. The rehearsal has the copies made while the worker
is not waited for. It goes through the same code as a request, but has objects of its own, on a
connection, a channel and a scoreboard that no other process has. The action takes no part.
"""

from __future__ import annotations

import _socket

from hotwhisk.action.action import Action
from hotwhisk.config.config import with_text_log, with_tokens
from hotwhisk.config.tokens import Tokens
from hotwhisk.ipc.channel import Channel, DescriptorsLost
from hotwhisk.ipc.messages import Assign
from hotwhisk.ipc.scoreboard import Scoreboard
from hotwhisk.worker.connections import Place
from hotwhisk.worker.event_loop import EpollLoop
from hotwhisk.worker.only_run import OnlyRun
from hotwhisk.worker.optional_parts import OptionalParts
from hotwhisk.worker.requests import Requests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.config.config import Config

SAMPLE = b'POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 12\r\n\r\n{"value":{}}'


def rehearse(config: Config, lowest: int) -> None:
    """
    Answer a sample request; ``lowest`` is as in `Place`.

    If the system has no descriptors for it, the first request takes longer, which is all.
    """
    ends: list[_socket.socket] = []
    try:
        ends += Channel.pair()
        ends += _socket.socketpair()
        _rehearse(config, lowest, ends)
    except (OSError, DescriptorsLost):
        pass
    finally:
        for each in ends:
            each.close()


def _rehearse(config: Config, lowest: int, ends: list[_socket.socket]) -> None:
    """Answer a sample request on the last pair of sockets; the first is a channel."""
    ours, theirs = Channel(ends[0]), Channel(ends[1])
    # A log of JSON would lead the output of this process into other pipes. No token is known here.
    config = with_tokens(with_text_log(config), Tokens())
    parts = OptionalParts(OnlyRun(lambda _: None))
    requests = Requests(ours, Scoreboard(1), Place(0, 0, lowest), config, lambda: None, parts)
    requests.action, requests.sentinels = Action(_echo), None
    connections = requests.connections
    try:
        connections.exit = lambda: None  # it goes on
        ends[3].send(SAMPLE)
        theirs.send(Assign([[0, 1, 0, 0]]), [ends[2].fileno()])
        if (received := ours.receive()) is None:
            return  # no memory for the message
        connection = connections.add(0, received[1][0], 1)
        connections.watch(connection)
        connections.with_claim(connection, connections.resume)
        connection.socket.close()  # if the request was refused, it is still open
    finally:
        ours.close()
        theirs.close()
        connections.streams.close()
        assert isinstance(connections.loop, EpollLoop)
        connections.loop.close()


def _echo(event: object) -> object:
    return event
