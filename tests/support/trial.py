"""Post a version that asks for a trial, while requests come for it."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import Self

from .client import Address, Connection
from .wire import ClientError, Response, init_body, post


def trial_request(source: str, *headers: str, **trial: object) -> bytes:
    """Return an /init of a source that asks for a trial with these members."""
    document = json.loads(init_body(source))
    document["value"]["trial"] = trial
    return post("/init", json.dumps(document).encode(), *headers)


def post_trial(address: Address, source: str, timeout: float = 60.0, **trial: object) -> Response:
    """Post a source that asks for a trial; return the answer with its verdict."""
    with Connection(address, timeout=timeout) as connection:
        connection.send(trial_request(source, **trial))
        return connection.read_response()


class Posted:
    """A version that was posted, and whose verdict is awaited beside what the test does."""

    def __init__(self, address: Address, source: str, **trial: object) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._verdict: Future[Response] = self._pool.submit(post_trial, address, source, **trial)

    @property
    def is_done(self) -> bool:
        """Whether the verdict is there."""
        return self._verdict.done()

    def verdict(self, timeout: float = 60.0) -> Response:
        """Wait for the verdict."""
        response = self._verdict.result(timeout)
        self._pool.shutdown()
        return response


class Traffic:
    """
    Clients that call all the time, each on a connection of its own, until the context ends.

    Client ``n`` sends ``{"client": n, "call": 0}`` and so on.
    """

    def __init__(self, address: Address, clients: int = 2, **event: object) -> None:
        self.answered = 0
        """How many requests were answered; known at the end."""
        self.problems: list[str] = []
        """What was not answered with 200; known at the end."""
        self._address = address
        self._event = event
        self._stop = Event()
        self._pool = ThreadPoolExecutor(clients)
        self._clients = clients

    def __enter__(self) -> Self:
        self._results = [self._pool.submit(self._call, each) for each in range(self._clients)]
        return self

    def __exit__(
        self,
        _: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for each in self._results:
            answered, problems = each.result()
            self.answered += answered
            self.problems += problems
        self._pool.shutdown()

    def _call(self, client: int) -> tuple[int, list[str]]:
        call, problems = 0, []
        try:
            while not self._stop.is_set():
                with Connection(self._address) as connection:
                    closes = False
                    while not closes and not self._stop.is_set():
                        response = connection.run({"client": client, "call": call, **self._event})
                        call += 1
                        closes = response.closes  # as after the death of its worker
                        if response.status != 200:
                            problems.append(f"{response.status} {response.body[:120]!r}")
        except (ClientError, OSError) as error:
            problems.append(f"client {client}, call {call}: {type(error).__name__}: {error}")
        return call, problems
