"""The gateway under load: many actions, many clients, updates all the while."""

from __future__ import annotations

import threading
import time

from tests.support.gateway import GatewayProcess
from tests.support.gateway_calls import Acknowledged, Client, wait_record

from .outcome import Outcome

MB = 1 << 20
GROWTH_MB = 16
"""By how much the gateway's own memory may grow after the first quarter of the calls."""


def call_many(actions: int, activations: int, clients: int) -> Outcome:
    """
    Call actions at random from many clients while they are updated.

    Every answer must be right, of a version that is not older than the last acknowledged one, with
    the log of this call alone; every activation must be in the database; memory must stay flat.
    """
    known = Acknowledged(actions)
    with GatewayProcess() as gateway:
        client = Client(gateway, known, -1)
        for action in range(actions):
            client.put(action)
        client.close()
        load = _Load(gateway, known, activations)
        begun = time.monotonic()
        load.run(clients)
        seconds = time.monotonic() - begun
        for identifier in known.background:
            record = wait_record(client, identifier)
            known.expect(record is not None, f"activation {identifier} was accepted and is lost")
            if record is not None:
                known.check_record(record)
        stored = gateway.query("SELECT count(*) FROM activations")
        client.close()
    outcome = Outcome(f"{actions} actions, {activations} calls, {clients} clients")
    outcome.problems += known.problems
    lost = activations - len(known.activations)
    outcome.expect(not lost, f"{lost} calls got no activation")
    outcome.expect(stored == activations, f"{stored} of {activations} activations are stored")
    early, late = load.memory[0], load.memory[-1]
    outcome.expect(late - early <= GROWTH_MB, f"memory grew from {early:.0f} MB to {late:.0f} MB")
    outcome.result = (
        f"none lost, none wrong; {sum(known.versions) - actions} updates; {len(known.background)} calls "
        f"did not wait; {activations / seconds:.0f} calls per second; gateway {early:.0f} MB after "
        f"a quarter, {late:.0f} MB at the end"
    )
    return outcome


class _Load:
    """The clients and the updates, as threads."""

    def __init__(self, gateway: GatewayProcess, known: Acknowledged, calls: int) -> None:
        self._gateway = gateway
        self._known = known
        self._left = calls
        self._quarter = calls - calls // 4
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.memory: list[float] = []

    def run(self, clients: int) -> None:
        threads = [threading.Thread(target=self._call, args=(number,)) for number in range(clients)]
        updates = threading.Thread(target=self._update)
        for thread in (updates, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        self._over.set()
        updates.join()
        self.memory.append(self._gateway.own_memory() / MB)

    def _next(self) -> bool:
        with self._lock:
            self._left -= 1
            if self._left == self._quarter:
                self.memory.append(self._gateway.own_memory() / MB)
            return self._left >= 0

    def _call(self, number: int) -> None:
        client = Client(self._gateway, self._known, number)
        try:
            while self._next():
                status = client.call()
                self._known.expect(status in (200, 202), f"a call was answered {status}")
        except Exception as error:  # noqa: BLE001 - told by the outcome
            self._known.expect(False, f"a client failed: {error!r}")
        client.close()

    def _update(self) -> None:
        client = Client(self._gateway, self._known, -2)
        action = 0
        while not self._over.is_set():
            client.put(action)
            action = (action + 1) % len(self._known.versions)
        client.close()
