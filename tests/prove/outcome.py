"""The result of a proof, and the server on which it is run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tests.support.client import Address, Connection
from tests.support.server import Server
from tests.support.wire import ClientError, Malformed, Response


@dataclass
class Outcome:
    """What was done, the result, and every problem as a text."""

    done: str
    result: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether there is no problem."""
        return not self.problems

    def expect(self, truth: object, problem: str) -> bool:
        """Record ``problem`` unless ``truth`` holds; return whether it holds."""
        if not truth:
            self.problems.append(problem)
        return bool(truth)

    def trying(self, what: str) -> Trying:
        """
        Return a context: a request without an answer in it is a problem named ``what``, not a
        crash.
        """
        return Trying(self, what)

    def expect_version(self, what: str, response: Response, version: int) -> None:
        """Expect that the answer is 200 and of this version."""
        answer = response.json()
        found = answer.get("version") if isinstance(answer, dict) else None
        self.expect(
            response.status == 200 and found == version,
            f"{what}: version {version} expected: {response.status} {response.body[:120]!r}",
        )

    def expect_error(self, what: str, response: Response) -> None:
        """Expect an error of the server's own: 4xx or 5xx, one key ``error``."""
        self.expect(
            response.status >= 400 and response.error,
            f"{what}: an error expected: {response.status} {response.body[:120]!r}",
        )


class Trying:
    """Turns what a client may meet into a problem of the outcome."""

    def __init__(self, outcome: Outcome, what: str) -> None:
        self._outcome = outcome
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if not isinstance(error, ClientError | TimeoutError):
            return False
        self._outcome.problems.append(f"{self._what}: {type(error).__name__}: {error}")
        return True


class Replaceable(Protocol):
    """A server of any make whose version can be replaced."""

    address: Address
    run_path: str
    replace_command: str

    def replace(self, number: int) -> None:
        """Make version ``number`` current and return once that is acknowledged."""


def connect(server: Replaceable, timeout: float = 10.0) -> Connection:
    """Return a new connection to the server."""
    return Connection(server.address, timeout=timeout, run_path=server.run_path)


def ask(server: Replaceable, timeout: float = 10.0, **event: object) -> Response:
    """Send one /run on a new connection and return its answer."""
    with connect(server, timeout) as connection:
        return connection.run(event)


def run_after(server: Replaceable, connection: Connection, last: Response, token: str) -> Response:
    """
    Send a caller's next /run: on its connection, or on a new one if the last answer
    said close.
    """
    if not last.closes:
        return connection.run({"token": token})
    if connection.read_to_end():
        raise Malformed("bytes after an answer that said close")
    return ask(server, token=token)


@dataclass(frozen=True)
class Proof:
    """One promise with the function that proves it, in its two sizes."""

    name: str
    promise: str
    function: Callable[..., Outcome]
    short: Mapping[str, object] = field(default_factory=dict)
    long: Mapping[str, object] = field(default_factory=dict)
    serve: tuple[str, ...] = ()
    nofile: int = 0
    http_only: bool = False
    alone: bool = False
    """Whether the function starts its own servers, and gets none."""

    def run(self, *, short: bool = False, **changes: object) -> Outcome:
        """Start a server made for this proof and run it in the wanted size."""
        size = {**(self.short if short else self.long), **changes}
        if self.alone:
            return self.function(**size)
        with Server(*self.serve, nofile=self.nofile) as server:
            outcome = Outcome("could not be carried out")
            with outcome.trying("getting there"):
                outcome = self.function(server, **size)
            alive = server.process.poll() is None
            if not outcome.expect(alive or self.name == "stop", "the server left"):
                outcome.problems.append(server.stderr()[-600:])
            return outcome
