"""Kill a gateway, a server, or all of their processes, in the middle of calls and updates."""

from __future__ import annotations

import http.client
import os
import random
import select
import signal
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from tests.support import tree
from tests.support.gateway import GatewayProcess
from tests.support.gateway_calls import Acknowledged, Client, wait_record

from .outcome import Outcome

SERVER = "hotwhisk:serve"
END_SECONDS = 10.0


def kill_in_the_middle(rounds: int, clients: int, actions: int) -> Outcome:
    """
    Kill in turn the gateway, servers, the launcher, and all at once; start again each time.

    No process may be left, and what was acknowledged must be there: versions, and activations.
    """
    known, draw = Acknowledged(actions), random.Random(7)
    outcome = Outcome(f"{rounds} rounds of four kills each, {clients} clients")
    with tempfile.TemporaryDirectory(prefix="hotwhisk-prove-") as folder:
        for number in range(rounds):
            for victims in (_gateway, _servers, _launcher, _all):
                with GatewayProcess(data=Path(folder)) as gateway:
                    _check_kept(gateway, known)
                    calls = _Calls(gateway, known, clients, seed=number)
                    calls.wait_answers(draw.randrange(20, 100))
                    below = tree.below(gateway.process.pid)
                    ends = _open(below)
                    _kill(victims(gateway, below))
                    if victims in (_servers, _launcher):
                        calls.wait_answers(50)
                        _kill([gateway.process.pid])
                    calls.join()
                    left = _wait_ended(ends)
                    outcome.expect(not left, f"after a kill of {victims.__name__}: {left} live on")
        with GatewayProcess(data=Path(folder)) as gateway:
            _check_kept(gateway, known)
    outcome.problems += known.problems
    outcome.result = (
        f"{len(known.activations)} activations and {sum(known.versions)} versions were "
        "acknowledged, all were there after the next start"
    )
    return outcome


def _gateway(gateway: GatewayProcess, _: set[int]) -> Iterable[int]:
    return [gateway.process.pid]


def _launcher(gateway: GatewayProcess, _: set[int]) -> Iterable[int]:
    return tree.children(gateway.process.pid)


def _all(_: GatewayProcess, below: set[int]) -> Iterable[int]:
    return below


def _servers(_: GatewayProcess, below: set[int]) -> Iterable[int]:
    return [pid for pid in below if _name(pid) == SERVER]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _open(pids: Iterable[int]) -> dict[int, int]:
    """Return a pidfd for each process that lives, with its id."""
    ends = {}
    for pid in pids:
        try:
            ends[os.pidfd_open(pid)] = pid
        except ProcessLookupError:
            continue
    return ends


def _wait_ended(ends: dict[int, int]) -> list[int]:
    """Wait until the processes have ended; return those that have not in time."""
    left = []
    for end, pid in ends.items():
        if not select.select([end], [], [], END_SECONDS)[0]:
            left.append(pid)
        os.close(end)
    return left


def _check_kept(gateway: GatewayProcess, known: Acknowledged) -> None:
    """Check that everything is there that was acknowledged, or deploy the first versions."""
    client = Client(gateway, known, -1)
    for action, version in enumerate(known.versions):
        if not version:
            client.put(action)
            continue
        status = client.call(action)
        known.expect(status == 200, f"a call after the start was answered {status}")
    for identifier in list(known.activations):
        record = wait_record(client, identifier, 5.0)
        known.expect(record is not None, f"activation {identifier} was acknowledged and is lost")
        if record is not None and record["response"]["success"]:
            known.check_record(record)
    client.close()


class _Calls:
    """Clients that call and update until the gateway is gone."""

    def __init__(
        self, gateway: GatewayProcess, known: Acknowledged, clients: int, *, seed: int
    ) -> None:
        self._known = known
        self._answers = threading.Semaphore(0)
        starts = [Client(gateway, known, 1000 * seed + number + 1) for number in range(clients)]
        self._threads = [threading.Thread(target=self._call, args=(each,)) for each in starts]
        updates = Client(gateway, known, -2)
        self._threads.append(threading.Thread(target=self._update, args=(updates,)))
        for thread in self._threads:
            thread.start()

    def wait_answers(self, count: int) -> None:
        """Wait until so many calls more were answered."""
        for _ in range(count):
            if not self._answers.acquire(timeout=END_SECONDS):
                raise TimeoutError("no call is answered")

    def join(self) -> None:
        """Wait until all clients have noticed that the gateway is gone."""
        for thread in self._threads:
            thread.join()

    def _call(self, client: Client) -> None:
        try:
            while True:
                status = client.call()
                # A call whose server was killed has an error, and a record of it.
                self._known.expect(status in (200, 202, 500, 502), f"a call was answered {status}")
                self._answers.release()
        except (OSError, http.client.HTTPException):
            client.close()

    def _update(self, client: Client) -> None:
        action = 0
        try:
            while True:
                client.put(action)
                action = (action + 1) % len(self._known.versions)
        except (OSError, http.client.HTTPException):
            client.close()
