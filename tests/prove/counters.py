"""
Compare what a server counted with what its clients saw.

Several clients call at the same time. Some calls fail, are refused, kill their worker or exceed
their deadline. Some clients kill the worker that answered them, at any moment of another client's
request, and versions are replaced. At the end each kind of answer must have been counted exactly as
often as it was received, in the generation that the answer names.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter
from pathlib import Path

from tests.process import control
from tests.support.client import Connection, Lost
from tests.support.server import Server
from tests.support.wire import ClientError, Response, init_request, post, run_request

from .outcome import Outcome

SOURCE = """\
import asyncio, os, signal, sys, time

def main(event):
    {
        "raise": lambda: 1 / 0,
        "exit": lambda: sys.exit(3),
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "leave": lambda: os._exit(3),
        "late": lambda: time.sleep(60),
    }.get(event.get("do"), int)()
    answer = {"pid": os.getpid(), "text": "x" * event.get("size", 0)}
    return answer | ({"error": "no"} if event.get("do") == "error" else {})
# version %d
"""

COROUTINE = """
act = main

async def main(event):
    await asyncio.sleep(0.001)
    return act(event)
"""
"""A handler whose runs overlap, to be added to the source."""

CALLS = {
    run_request({}): 9200,
    run_request({"size": 1 << 20}): 100,
    run_request({"do": "raise"}): 200,
    run_request({"do": "error"}): 200,
    run_request({"do": "exit"}): 50,
    run_request({"do": "kill"}): 20,
    run_request({"do": "leave"}): 20,
    run_request({"do": "late"}): 3,
    post("/run", b"[}"): 100,
    post("/nothing", b""): 50,
    b"NONSENSE\r\n\r\n": 50,
}
"""The requests, and how often each is sent in ten thousand."""

KILL_EVERY = 250
"""After so many answers, on average, a client kills the worker that answered it."""

KINDS = ("ok", "error", "died", "timed_out", "refused")
TIMED_OUT = "no answer within"
DIED = ("killed by", "left with", "was reading this request died")


class Tally:
    """What all clients of one server have seen, by generation and kind."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seen: Counter[tuple[int, str]] = Counter()
        self.problems: list[str] = []
        self.version = 1
        self.kills = 0

    def add(self, generation: int | None, kind: str) -> None:
        with self.lock:
            self.seen[generation or 0, kind] += 1

    def note(self, problem: str) -> None:
        with self.lock:
            self.problems.append(problem)

    def sums(self) -> dict[str, int]:
        """Return the number of answers of each kind."""
        return {kind: sum(n for (_, k), n in self.seen.items() if k == kind) for kind in KINDS}


class Caller:
    """One client, with a connection that it keeps as long as the server does."""

    def __init__(self, server: Server, tally: Tally, source: str, seed: int) -> None:
        self._server = server
        self._source = source
        self._tally = tally
        self._draw = random.Random(seed)
        self._connection = Connection(server.address)

    def run(self, requests: int, replace_every: int) -> None:
        """Send so many requests; the exact number makes the sum of all clients exact too."""
        try:
            for number in range(1, requests + 1):
                self._call()
                if number % replace_every == 0:
                    self._replace()
        except (ClientError, OSError) as error:
            self._tally.note(f"{type(error).__name__}: {error}")
        finally:
            self._connection.close()

    def _call(self) -> None:
        (request,) = self._draw.choices(tuple(CALLS), tuple(CALLS.values()))
        try:
            self._connection.send(request)
            response = self._connection.read_response()
        except Lost as error:
            if not self._connection.reader.pending:
                self._tally.note(f"no byte of an answer: {error}")
            self._tally.add(None, "died")  # cut off
            self._connect()
            return
        self._tally.add(response.generation, kind_of(response))
        if response.closes:
            self._connect()
        if response.status == 200 and not self._draw.randrange(KILL_EVERY):
            self._kill(response)

    def _connect(self) -> None:
        self._connection.close()
        self._connection = Connection(self._server.address)

    def _kill(self, response: Response) -> None:
        pid = response.json().get("pid")
        if pid is not None and parent_of(pid) == self._server.pid:
            os.kill(pid, signal.SIGKILL)
            with self._tally.lock:
                self._tally.kills += 1

    def _replace(self) -> None:
        with self._tally.lock:
            self._tally.version += 1
            source = self._source % self._tally.version
        with Connection(self._server.address, timeout=30.0) as connection:
            connection.send(init_request(source, "Connection: close"))
            response = connection.read_response()
        if response.status != 200:
            if any(text in str(response.error) for text in DIED):
                self._tally.add(response.generation, "died")
            else:
                self._tally.note(f"/init: {response.status} {response.body[:120]!r}")


def kind_of(response: Response) -> str:
    """Return the kind of an answer, as a client can tell it."""
    answer = response.json()
    text = str(answer.get("error", ""))
    if response.status == 200:
        return "error" if "error" in answer else "ok"
    if response.status < 500:
        return "refused"
    if TIMED_OUT in text:
        return "timed_out"
    return "died" if any(each in text for each in DIED) else "error"


def parent_of(pid: int) -> int:
    """Return the parent of a process; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def count_exactly(
    server: Server,
    requests: int = 100_000,
    clients: int = 8,
    replace_every: int = 1000,
    seed: int = 1,
    coroutines: bool = False,
) -> Outcome:
    """Send the requests from all clients, then compare."""
    outcome = Outcome(f"{requests} requests of {clients} clients, seed {seed}")
    source = SOURCE + (COROUTINE if coroutines else "")
    server.post(source % 1)
    tally = Tally()
    callers = [Caller(server, tally, source, seed * clients + each) for each in range(clients)]
    threads = [
        threading.Thread(target=each.run, args=(requests // clients, replace_every))
        for each in callers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcome.problems += tally.problems
    rows = control.status(server)["counts"]
    counted = {kind: sum(row[kind] for row in rows) for kind in KINDS}
    for kind, seen in tally.sums().items():
        outcome.expect(seen == counted[kind], f"{kind}: {seen} seen, {counted[kind]} counted")
    for row in rows:
        for kind in ("ok", "error", "timed_out"):
            if not row.get("earlier"):
                seen = tally.seen[row["generation"], kind]
                what = f"generation {row['generation']}, {kind}"
                outcome.expect(seen == row[kind], f"{what}: {seen} seen, {row[kind]} counted")
    text = ", ".join(f"{counted[kind]} {kind}" for kind in KINDS)
    outcome.result = f"{text}; {tally.kills} kills from outside, {tally.version} versions"
    return outcome
