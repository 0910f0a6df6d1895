"""
The process of the load: ``python -m tests.support.load_loop``, plan on stdin, result on stdout.

One epoll loop, one state per client: CONNECTING until the socket is writable, WAITING until a
complete answer is read, DONE. Nothing blocks; on loopback one send takes a whole small request.
"""

from __future__ import annotations

import json
import select
import socket
import statistics
import sys
import time
from dataclasses import asdict
from typing import Protocol

from .load import Plan, Result
from .load_client import Client, ended
from .load_replace import CommandReplacer, InitReplacer
from .wire import Malformed, Response, ResponseReader, post, run_body


class Replacer(Protocol):
    """The methods that the loop needs of an object that switches versions."""

    acknowledged: int

    def begin(self) -> None:
        """Start the next replacement."""

    def advance(self, fd: int) -> bool:
        """Go on with what ``fd`` reported; return False if the descriptor is not its own."""

    @property
    def busy(self) -> bool:
        """Whether a replacement is under way."""


class Loop:
    """The whole load; ``run`` returns the result."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.result = Result()
        self.epoll = select.epoll()
        self.clients: dict[int, Client] = {}
        self.latencies: list[float] = []
        self.since = 0
        self.replacer: Replacer = (
            CommandReplacer(plan, self.epoll, self.result)
            if plan.command
            else InitReplacer(plan, self.epoll, self.result)
        )

    def run(self) -> Result:
        """
        Open the clients, serve events until all are done or time is up, and return the
        result.
        """
        begun = time.monotonic()
        everyone = [Client(n, n % 2 == 0) for n in range(self.plan.clients)]
        for client in everyone:
            self.open(client)
        checked = begun
        while self.clients and time.monotonic() < begun + self.plan.deadline:
            for fd, _ in self.epoll.poll(0.5):
                if fd in self.clients:
                    self.serve(self.clients[fd])
                else:
                    self.replacer.advance(fd)
            if self.may_replace():
                self.since = 0
                self.replacer.begin()
            if time.monotonic() - checked > 0.5:
                checked = time.monotonic()
                self.expire(checked)
        for client in list(self.clients.values()):
            self.fail(client, "lost", "unfinished at the load's deadline")
        return self.sum_up(everyone, time.monotonic() - begun)

    def may_replace(self) -> bool:
        """Whether the next replacement is due."""
        tried = self.result.replacements + self.result.failed_replacements
        return (
            not self.replacer.busy
            and self.since >= self.plan.between
            and tried < self.plan.replacements
        )

    @property
    def over(self) -> bool:
        """Whether every replacement is done, so that each client has one last request to send."""
        tried = self.result.replacements + self.result.failed_replacements
        return not self.replacer.busy and tried >= self.plan.replacements

    def open(self, client: Client) -> None:
        """Start to connect; the socket is writable when it is done."""
        client.reader = ResponseReader()
        client.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.socket.connect_ex(self.plan.address)
        client.started = time.monotonic()
        client.waiting = False
        self.clients[client.socket.fileno()] = client
        self.epoll.register(client.socket.fileno(), select.EPOLLOUT)

    def serve(self, client: Client) -> None:
        """Handle an event on the socket of ``client``."""
        assert client.socket is not None
        if not client.waiting:
            error = client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                return self.fail(client, "refused", f"connect: error {error}")
            client.port = client.socket.getsockname()[1]
            client.first_port = client.first_port or client.port
            return self.send(client)
        try:
            data = client.socket.recv(65536)
            client.reader.feed(data)
            response = client.reader.next()
        except OSError as error:
            return self.fail(client, "lost", str(error))
        except Malformed as error:
            return self.fail(client, "wrong", str(error))
        if response is not None:
            return self.take(client, response)
        if not data:
            self.fail(client, "lost", f"end of stream, {client.reader.pending} bytes came")
        return None

    def send(self, client: Client) -> None:
        """Send the next request of ``client`` on its open connection."""
        assert client.socket is not None
        client.count += 1
        client.last = self.over
        client.floor = self.replacer.acknowledged
        close = () if client.kept else ("Connection: close",)
        body = run_body({"token": client.token})
        try:
            client.socket.send(post(self.plan.run_path, body, *close))
        except OSError as error:
            return self.fail(client, "lost", f"send: {error}")
        client.started = time.monotonic()
        client.waiting = True
        self.epoll.modify(client.socket.fileno(), select.EPOLLIN)
        return None

    def take(self, client: Client, response: Response) -> None:
        """Check a complete answer, then go on: same connection, a new one, or done."""
        self.latencies.append(time.monotonic() - client.started)
        self.result.answered += 1
        self.since += 1
        self.judge(client, response)
        if client.last:
            if not client.kept:
                self.drop(client)
            else:
                self.ignore(client)
        elif client.kept and not response.closes:
            self.send(client)
        else:
            self.drop(client)
            self.result.reconnects += client.kept
            self.open(client)

    def judge(self, client: Client, response: Response) -> None:
        """Count what is wrong with an answer."""
        try:
            answer = response.json()
        except Malformed as error:
            answer = str(error)
        version = answer.get("version") if isinstance(answer, dict) else None
        if response.status != 200 or not isinstance(version, int):
            self.result.wrong += 1
            self.result.note(f"wrong: {response.status} {response.body[:120]!r}")
        elif answer.get("token", client.token) != client.token:
            self.result.wrong += 1
            self.result.note(f"wrong: the answer of {answer['token']} went to {client.token}")
        elif version < client.floor:
            self.result.stale += 1
            self.result.note(f"stale: version {version} after {client.floor} was acknowledged")
        if client.reader.pending:
            self.result.wrong += 1
            self.result.note(f"wrong: {client.reader.pending} bytes after the answer")

    def fail(self, client: Client, what: str, why: str) -> None:
        """Count a request without an answer and start over, unless this was the last."""
        setattr(self.result, what, getattr(self.result, what) + 1)
        self.result.note(f"{what}: client {client.number}: {why}")
        self.since += 1
        self.drop(client)
        if self.over:
            client.port = -1
            return
        self.result.reconnects += client.kept
        self.open(client)

    def expire(self, now: float) -> None:
        """Give up on answers that take longer than the plan allows."""
        for client in list(self.clients.values()):
            if now - client.started > self.plan.answer_timeout:
                self.fail(client, "lost", "no answer in time")

    def drop(self, client: Client) -> None:
        """Close the connection of ``client``."""
        self.ignore(client)
        assert client.socket is not None
        client.socket.close()

    def ignore(self, client: Client) -> None:
        """Stop watching ``client``; its connection stays open."""
        assert client.socket is not None
        self.epoll.unregister(client.socket.fileno())
        del self.clients[client.socket.fileno()]

    def sum_up(self, everyone: list[Client], duration: float) -> Result:
        """Fill in the fields of the result that are known only at the end."""
        kept = [client for client in everyone if client.kept]
        self.result.kept = len(kept)
        self.result.kept_same = sum(
            client.port == client.first_port and not ended(client.socket) for client in kept
        )
        self.result.duration = duration
        if len(self.latencies) > 1:
            cuts = statistics.quantiles(self.latencies, n=100)
            self.result.p50, self.result.p99 = cuts[49], cuts[98]
        return self.result


def main() -> None:
    """Read the plan, run it, write the result."""
    given = json.load(sys.stdin)
    given["address"] = tuple(given["address"])
    result = Loop(Plan(**given)).run()
    json.dump(asdict(result), sys.stdout)


if __name__ == "__main__":
    main()
