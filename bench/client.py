"""
The load of the bench, in a process of its own.

It uses raw sockets, requests made once, and answers counted by their length. ``python -m
bench.client``: a Work as JSON on stdin, a Taken on stdout. It does as little per request as Python
can, because its own time is part of both sides of every ratio and makes the slower server look
better.
"""

from __future__ import annotations

import itertools
import json
import random
import select
import socket
import statistics
import sys
import time
import uuid
from dataclasses import asdict, dataclass

from hotwhisk.platform import Action, Names
from hotwhisk.platform.action import run_body
from tests.support.load import run_module
from tests.support.wire import ResponseReader, post, run_request

MODES = ("kept", "fresh", "flood-kept", "flood-fresh")
ACTIVATIONS = 16
HOUR = 3600


@dataclass(frozen=True)
class Work:
    """
    ``count`` requests with a string of ``size`` characters; floods use ``clients`` connections.

    With ``rows``, the event has that many small objects instead of the string. With ``platform``
    the requests are as the invoker sends them: activation, deadline and so on. Where
    requests follow each other, ``pause`` seconds pass after each answer.
    """

    mode: str
    address: tuple[str, int]
    count: int
    size: int = 20
    clients: int = 16
    rows: int = 0
    platform: bool = False
    pause: float = 0.0
    path: str = "/run"

    @property
    def event(self) -> dict[str, object]:
        """The event of every request."""
        if not self.rows:
            return {"text": "x" * self.size}
        numbers = random.Random(1)
        rows = [{"name": f"row {each}", "x": numbers.random()} for each in range(self.rows)]
        return {"rows": rows}


@dataclass(frozen=True)
class Taken:
    """
    Seconds per request, requests per second, and the client's own share of a core.

    The seconds are the median and the 99th percentile.
    """

    p50: float
    p99: float
    rate: float
    busy: float


def measure(work: Work) -> Taken:
    """Do the work in a new process."""
    return Taken(**run_module("bench.client", asdict(work), 300.0))


def open_connection(work: Work) -> socket.socket:
    """Return a connection that sends at once."""
    end = socket.socket()
    end.settimeout(30)
    end.connect(work.address)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return end


def requests_of(work: Work) -> list[bytes]:
    """
    Return the requests to send in turns.

    Each has the same event, so all answers have one length.
    """
    close = ("Connection: close",) if work.mode.endswith("fresh") else ()
    event = work.event
    if not work.platform:
        return [run_request(event, *close, path=work.path)]
    deadline = int((time.time() + HOUR) * 1000)
    names = [Names(uuid.uuid4().hex, uuid.uuid4().hex) for _ in range(ACTIVATIONS)]
    bodies = [run_body(Action("echo"), each, deadline, event) for each in names]
    return [post(work.path, body, *close) for body in bodies]


def answer_length(work: Work, request: bytes) -> int:
    """Return the length of every answer: one is read and checked, the others are only counted."""
    reader = ResponseReader()
    total = 0
    with open_connection(work) as end:
        end.sendall(request)
        while (response := reader.next()) is None:
            data = end.recv(1 << 20)
            if not data:
                raise ConnectionError("the server closed instead of answering")
            total += len(data)
            reader.feed(data)
    if response.status != 200 or response.json() != work.event:
        raise ConnectionError(f"{response.status} {response.body[:200]!r}")
    return total


def latencies(work: Work, requests: list[bytes], length: int) -> list[float]:
    """
    Send one request after the other on one connection, or each on a new one; return
    their times.
    """
    taken = []
    buffer = bytearray(1 << 20)
    clock = time.perf_counter
    kept = open_connection(work) if work.mode == "kept" else None
    for request in itertools.islice(itertools.cycle(requests), work.count):
        begun = clock()
        end = kept or open_connection(work)
        end.sendall(request)
        left = length
        while left > 0:
            got = end.recv_into(buffer)
            if not got:
                raise ConnectionError("the server closed instead of answering")
            left -= got
        if kept is None:
            end.close()
        taken.append(clock() - begun)
        if work.pause:
            time.sleep(work.pause)
    return taken


class Flood:
    """Keeps ``clients`` requests in flight until ``count`` are answered."""

    def __init__(self, work: Work, request: bytes, length: int) -> None:
        self.work = work
        self.request = request
        self.length = length
        self.fresh = work.mode == "flood-fresh"
        self.epoll = select.epoll()
        self.ends: dict[int, socket.socket] = {}
        self.left: dict[int, int] = {}
        self.sent: dict[int, float] = {}
        self.taken: list[float] = []
        self.begun = 0

    def run(self) -> None:
        for _ in range(min(self.work.clients, self.work.count)):
            self.begin(self.open())
        done = 0
        while done < self.work.count:
            events = self.epoll.poll(30)
            if not events:
                raise ConnectionError("no answer within 30 s")
            for fd, _ in events:
                got = len(self.ends[fd].recv(65536))
                if not got:
                    raise ConnectionError("the server closed instead of answering")
                self.left[fd] -= got
                if self.left[fd] <= 0:
                    done += 1
                    self.taken.append(time.perf_counter() - self.sent[fd])
                    self.go_on(fd)

    def open(self) -> int:
        end = open_connection(self.work)
        self.ends[end.fileno()] = end
        self.epoll.register(end.fileno(), select.EPOLLIN)
        return end.fileno()

    def begin(self, fd: int) -> None:
        self.begun += 1
        self.sent[fd] = time.perf_counter()
        self.ends[fd].sendall(self.request)
        self.left[fd] = self.length

    def go_on(self, fd: int) -> None:
        if self.fresh:
            self.epoll.unregister(fd)
            self.ends.pop(fd).close()
        if self.begun < self.work.count:
            self.begin(self.open() if self.fresh else fd)


def main() -> None:
    """Read the work, do it, write the times."""
    given = json.load(sys.stdin)
    given["address"] = tuple(given["address"])
    work = Work(**given)
    requests = requests_of(work)
    length = answer_length(work, requests[0])
    begun, used = time.perf_counter(), time.process_time()
    if work.mode in ("kept", "fresh"):
        taken = latencies(work, requests, length)
    else:
        flood = Flood(work, requests[0], length)
        flood.run()
        taken = flood.taken
    elapsed = time.perf_counter() - begun
    busy = (time.process_time() - used) / elapsed
    p99 = sorted(taken)[int(len(taken) * 0.99)]
    json.dump(asdict(Taken(statistics.median(taken), p99, work.count / elapsed, busy)), sys.stdout)


if __name__ == "__main__":
    main()
