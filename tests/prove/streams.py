"""Replace an action while it answers many requests in parts: each stream runs to its end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Condition

from tests.support.client import Connection
from tests.support.parts import PartReader
from tests.support.server import Server
from tests.support.stream_actions import stream_source
from tests.support.wire import ClientError

from .outcome import Outcome

TIMEOUT = 60.0
MOST_PARTS = 40
PAUSE = 0.05


class Readers:
    """What the clients have read, and which version is current."""

    def __init__(self) -> None:
        self.version = 1
        self.posted = 1
        """The latest version that was sent to the server; a stream may be of it already."""
        self.over = False
        self.ended = self.parts = 0
        self.problems: list[str] = []
        self._changed = Condition()

    def end(self, parts: int) -> None:
        """Record that a stream came to its end."""
        with self._changed:
            self.ended += 1
            self.parts += parts
            self._changed.notify_all()

    def fail(self, problem: str) -> None:
        """Record a problem, which ends the proof."""
        with self._changed:
            self.problems.append(problem)
            self.over = True
            self._changed.notify_all()

    def wait_ended(self, more: int) -> None:
        """Wait until so many more streams have ended, or there is a problem."""
        with self._changed:
            wanted = self.ended + more
            if not self._changed.wait_for(lambda: self.ended >= wanted or self.over, TIMEOUT):
                self.problems.append(f"{more} streams have not ended within {TIMEOUT:g} s")
                self.over = True


def stream_through_replacements(
    server: Server, replacements: int = 100, streams: int = 200, between: int = 40
) -> Outcome:
    """
    Keep so many clients reading streams, each one after another on its connection. Post the next
    version whenever ``between`` streams have ended.
    """
    outcome = Outcome(f"{streams} streams at once, {replacements} replacements")
    server.post(stream_source(1, asynchronous=True))
    readers = Readers()
    with ThreadPoolExecutor(streams) as pool, outcome.trying("a replacement"):
        try:
            for number in range(streams):
                pool.submit(read_streams, server, readers, number)
            for version in range(2, replacements + 2):
                readers.wait_ended(between)
                if readers.over:
                    break
                readers.posted = version
                server.post(stream_source(version, asynchronous=True))
                readers.version = version
            readers.wait_ended(streams)
        finally:
            readers.over = True
    outcome.problems += readers.problems
    outcome.result = f"{readers.ended} streams with {readers.parts} parts, none cut, none mixed"
    return outcome


def read_streams(server: Server, readers: Readers, number: int) -> None:
    """Read one stream after another, and check each part, until the proof is over."""
    draw = Random(number)
    try:
        with Connection(server.address, timeout=TIMEOUT) as connection:
            reader = PartReader(connection)
            turn = 0
            while not readers.over:
                turn += 1
                parts = draw.randint(1, MOST_PARTS)
                problem = read_stream(reader, readers, f"{number}-{turn}", parts)
                if problem:
                    readers.fail(f"client {number}, stream {turn}: {problem}")
                    return
                readers.end(parts)
                reader.again()
    except Exception as error:  # noqa: BLE001 - else the pool would keep it to itself
        what = type(error).__name__ if isinstance(error, ClientError) else f"a bug, {error!r}"
        readers.fail(f"client {number}: {what}: {error}")


def read_stream(reader: PartReader, readers: Readers, token: str, parts: int) -> str:
    """Ask for a stream, and read it; return what is wrong with it."""
    least = readers.version
    reader.ask({"parts": parts, "pause": PAUSE, "token": token})
    first = reader.line()
    if not least <= first["version"] <= readers.posted:
        return f"of version {first['version']}, asked after {least} became current"
    for n in range(1, parts):
        if reader.line() != first | {"n": n}:
            return f"part {n} is not of this stream"
    if first["token"] != token or reader.next():
        return "not the stream that was asked for"
    return ""
