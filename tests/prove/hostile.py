"""
Prove that a supervisor survives workers that attack it.

They send packets to it, and write into the table that they share with it. The supervisor is
complete and real, with its sockets, files and table. Only the processes are fake, so that 10^5
packets or words can be tried one by one. In `hostile_inside` real workers do the same.
"""

from __future__ import annotations

import os
import random
import socket
import struct
import tempfile
import traceback
from pathlib import Path

from hotwhisk.config.config import Config
from hotwhisk.config.option import Bounds
from hotwhisk.ipc.messages import FROM_TEMPLATE, FROM_WORKER, KINDS, Assign, Message, Ready
from hotwhisk.ipc.scoreboard import Phase
from hotwhisk.supervisor.processes import Process
from hotwhisk.supervisor.workers import State
from tests.support.hostile import NUMBERS, Packets
from tests.unit.supervisor.scripted import Scripted

from .outcome import Outcome

DIGEST = "sha256:" + 64 * "0"
FIELDS = {
    kind: {name: message.__annotations__[name] for name in message.fields}
    for kind, message in KINDS.items()
}
CONNECTIONS = 6


class Attacked:
    """A supervisor with fake processes, some of which are hostile."""

    def __init__(self, seed: int, folder: str, outcome: Outcome) -> None:
        self.draw = random.Random(seed)
        config = Config(workers=Bounds(2, 2), crash_count=1 << 30, init_timeout=1e9)
        self.scripted = Scripted(config, Path(folder))
        self.packets = Packets(seed, FIELDS, self._known)
        self.outcome = outcome
        self.replaced = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.scripted.serve()

    def close(self) -> None:
        """Close the supervisor and the listening socket."""
        self._listener.close()
        self.scripted.close()

    def _known(self) -> list[int]:
        sockets = self.scripted.supervisor.sockets
        latest = sockets._last_epoch
        return [
            *sockets.descriptors,
            *sockets.spills._files,
            *range(max(0, latest - 3), latest + 2),
        ]

    def started(self) -> list[Process]:
        """Return the workers that have a process; if there are none, tick until there are."""
        while not any(
            each.pending_fork is None for each in self.scripted.processes.by_slot.values()
        ):
            self.tick()
        return [
            each for each in self.scripted.processes.by_slot.values() if each.pending_fork is None
        ]

    def connect(self) -> None:
        """Connect clients until there are `CONNECTIONS`, and assign each to a worker."""
        sockets, clients = self.scripted.supervisor.sockets, self.scripted.clients
        for number in [number for number in clients if number not in sockets.descriptors]:
            clients.pop(number).close()
        while len(sockets.descriptors) < CONNECTIONS:
            client = socket.create_connection(self._listener.getsockname())
            number = sockets.add(self._listener.accept()[0].detach())
            clients[number] = client
            self.scripted.supervisor.rollout.dispatcher.accepted(number)
            self.turn()

    def turn(self) -> None:
        """Let the supervisor handle all events; record an exception as a problem."""
        try:
            self.scripted.supervisor.wait(0.0)
            self.scripted.supervisor.run_commands()
        except Exception:  # noqa: BLE001 - any of them would end the server
            self.outcome.problems.append(traceback.format_exc()[-900:])

    def tick(self) -> None:
        """Let the supervisor look at the table and the clock; record an exception as a problem."""
        try:
            self.scripted.tick()
        except Exception:  # noqa: BLE001 - any of them would end the server
            self.outcome.problems.append(traceback.format_exc()[-900:])

    def send(self) -> None:
        """Send one hostile packet as a random worker, which is sometimes killed right after."""
        scripted = self.scripted
        process = self.draw.choice(self.started())
        slot = process.slot
        descriptors = self.packets.descriptors()
        try:
            socket.send_fds(
                scripted.system.ends[slot]._socket, [self.packets.packet()], descriptors
            )
        except OSError:
            pass  # its channel is full, or closed
        for each in descriptors:
            os.close(each)
        if self.draw.random() < 0.1:
            scripted.system.kill(process.pidfd)
        self.turn()

    def scribble(self) -> None:
        """Write one hostile value into the table: a phase of one byte, or a word of eight."""
        scoreboard, draw = self.scripted.scoreboard, self.draw
        table = scoreboard._map
        where = draw.random()
        if where < 0.3:
            number = draw.randrange(scoreboard.capacity)
            scoreboard.set_phase(number, draw.choice((*Phase, Phase.CLOSED, 10, 200, 255)))
        elif where < 0.8:
            row = scoreboard._rows + 64 * draw.randrange(scoreboard.capacity)
            table[row + 8 * (at := draw.randrange(8)) : row + 8 * at + 8] = self._word()
        else:
            at = draw.choice((0, 64 + 8 * draw.randrange(8), draw.randrange(len(table) - 8)))
            table[at : at + 8] = self._word()
        if draw.random() < 0.2:
            self.turn()
        if draw.random() < 0.02:
            self.scripted.system.kill(draw.choice(self.started()).pidfd)
            self.turn()

    def _word(self) -> bytes:
        draw = self.draw
        kind = draw.random()
        if kind < 0.3:
            return draw.randbytes(8)
        if kind < 0.5:
            doubles = (float("nan"), float("inf"), float("-inf"), -1.0, 0.0, 1e308, 5e-324)
            return struct.pack("d", draw.choice(doubles))
        known = self._known()
        number = draw.choice(known) if known and draw.random() < 0.5 else draw.choice(NUMBERS)
        return struct.pack("Q", number)

    def replace(self) -> None:
        """Make the next version current; its worker is honest, so the supervisor must obey it."""
        scripted = self.scripted
        self.turn()
        self.tick()
        rollout = scripted.supervisor.rollout
        for _ in range(20):  # versions that hostile workers have posted come first
            if rollout.candidate is None:
                break
            slot = rollout.candidate.slot
            assert slot is not None
            rollout.failed(slot, 502, "not this one")
            self.turn()
        before = rollout.current.number
        rollout.submit(scripted.candidate())
        self.turn()
        slot = scripted.workers.in_generation(before + 1, State.LOADING) or [
            each.slot for each in scripted.workers.by_slot.values() if each.state is State.LOADING
        ]
        candidate = rollout.candidate
        if candidate is None or candidate.slot is None or not slot:
            self.outcome.problems.append("a version that was submitted is not loaded")
            return
        scripted.send(candidate.slot, Ready(DIGEST))
        self.turn()
        worker = scripted.workers.by_slot.get(candidate.slot)
        state = worker and worker.state
        if self.outcome.expect(state is State.SERVING, f"the next version is {state}"):
            self.replaced += 1
        self.serve(candidate.slot)

    def serve(self, slot: int) -> None:
        """Expect that a new connection goes to the worker ``slot`` of the current version."""
        scripted = self.scripted
        while len(scripted.supervisor.sockets.descriptors) >= scripted.scoreboard.capacity:
            number = next(iter(scripted.supervisor.sockets.descriptors))
            scripted.supervisor.rollout.dispatcher.owners.remove(number)
            scripted.supervisor.sockets.close(number)
            self.turn()
        drain(scripted)
        number = scripted.connect()
        given = [message for message in scripted.messages(slot) if names(message, number)]
        self.outcome.expect(given, f"connection {number} did not reach the next version")
        scripted.supervisor.rollout.dispatcher.owners.remove(number)
        scripted.supervisor.sockets.close(number)
        self.turn()


def names(message: Message, number: int) -> bool:
    """Return whether a message assigns the connection ``number``."""
    return isinstance(message, Assign) and number in [row[0] for row in message.connections]


def take_packets(packets: int = 100_000, seed: int = 1) -> Outcome:
    """Send packets one by one, from workers in every state; replace a version after each 500."""
    kinds = len(FROM_WORKER | FROM_TEMPLATE)
    outcome = Outcome(f"{packets} packets, seed {seed}")
    before = len(os.listdir("/proc/self/fd"))
    with tempfile.TemporaryDirectory() as folder:
        attacked = Attacked(seed, folder, outcome)
        ended = 0
        for count in range(packets):
            if count % 10 == 0:
                attacked.connect()
            attacked.send()
            if count % 50 == 0:
                attacked.tick()
                drain(attacked.scripted)
            if count % 500 == 499:
                ended += len([line for line in attacked.scripted.logged if " is ended: " in line])
                attacked.scripted.logged.clear()
                attacked.replace()
            if len(outcome.problems) > 5:
                break
        attacked.close()
    left = len(os.listdir("/proc/self/fd")) - before
    outcome.expect(left < 100, f"{left} descriptors were left open")
    outcome.result = (
        f"{kinds} kinds that may be sent, {ended} workers ended for what they sent, "
        f"{attacked.replaced} versions became current after that"
    )
    return outcome


def take_words(words: int = 100_000, seed: int = 1) -> Outcome:
    """Write words anywhere in the table, with deaths; replace a version after each 500."""
    outcome = Outcome(f"{words} words in the table, seed {seed}")
    with tempfile.TemporaryDirectory() as folder:
        attacked = Attacked(seed, folder, outcome)
        for count in range(words):
            if count % 10 == 0:
                attacked.connect()
            attacked.scribble()
            if count % 50 == 0:
                attacked.tick()
                drain(attacked.scripted)
            if count % 500 == 499:
                attacked.replace()
            if len(outcome.problems) > 5:
                break
        attacked.close()
    outcome.result = f"{attacked.replaced} versions became current after that"
    return outcome


def drain(scripted: Scripted) -> None:
    """Read the messages to every worker, and obey none."""
    for slot, process in scripted.processes.by_slot.items():
        if process.pending_fork is None:
            scripted.messages(slot)
