"""A whole supervisor with a fake clock and fake processes, which live and die as the test says."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, cast

from hotwhisk.config.config import Config
from hotwhisk.ipc.channel import Channel
from hotwhisk.ipc.messages import Message, Pong
from hotwhisk.supervisor.artifacts import UploadedArtifact
from hotwhisk.supervisor.commands import Candidate, Reply
from hotwhisk.supervisor.supervisor import Supervisor
from hotwhisk.supervisor.watchdog import Watchdog
from hotwhisk.supervisor.workers import State
from hotwhisk.system.children import ExitStatus
from hotwhisk.system.system import System


class FakeSystem:
    """Processes that are a pidfd, readable once dead, and the worker's end of the channel."""

    has_barrier = True
    may_kill = True

    def __init__(self) -> None:
        self.clock = 1000.0
        self.endings: dict[int, ExitStatus] = {}
        self.end_of: Callable[[int], socket.socket]
        self.ends: dict[int, Channel] = {}

    def now(self) -> float:
        return self.clock

    def barrier(self) -> None:
        pass

    def oom_kills(self) -> int:
        return 0

    def fork(self, _: Callable[[], NoReturn], name: str) -> tuple[int, int]:
        slot = int(name.partition(":")[2])
        if slot in self.ends:
            self.ends[slot].close()
        self.ends[slot] = Channel(self.end_of(slot).dup())
        return 100_000 + slot, os.eventfd(0)

    def open_child(self, pid: int) -> int:
        if pid < 100_000:
            raise ChildProcessError
        return os.eventfd(0)

    def reap_orphans(self, ours: object) -> None:
        pass

    def kill(self, pidfd: int) -> bool:
        if not self.may_kill:
            return False
        self.end(pidfd, ExitStatus(signal=9))
        return True

    def end(self, pidfd: int, ending: ExitStatus) -> None:
        self.endings[pidfd] = ending
        os.eventfd_write(pidfd, 1)

    def ended(self, pidfd: int) -> ExitStatus | None:
        return self.endings.get(pidfd)

    def reap(self, pidfd: int) -> None:
        del self.endings[pidfd]

    def kill_group(self, worker_pid: int) -> None:
        pass

    def kill_orphans(self, worker_pid: int, name: str, ours: object) -> bool:
        return False


class Scripted:
    """A supervisor; the test says what workers say, and reads what they are told."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.system = FakeSystem()
        self._listener, self._nobody = socket.socketpair()
        self.told: list[str] = []
        self.replies: list[Reply] = []
        self.clients: dict[int, socket.socket] = {}
        self.supervisor = Supervisor(
            config, self._listener, cast("System", self.system), 8, str(folder),
            log=self.told.append, replied=self.replies.append,
        )  # fmt: skip
        self.processes, self.scoreboard = self.supervisor.processes, self.supervisor.scoreboard
        self.workers = self.supervisor.rollout.workers
        self.owners = self.supervisor.dispatcher.owners
        self.system.end_of = self._end_of
        self.watchdog = Watchdog(self.supervisor)
        self.supervisor.run_commands()

    def _end_of(self, slot: int) -> socket.socket:
        pending_fork = self.processes.by_slot[slot].pending_fork
        assert pending_fork is not None
        assert pending_fork.end is not None
        return pending_fork.end

    def serve(self, *, overlap: bool = False) -> int:
        """Put a current version; the slot of its worker."""
        slot = self.workers.spare
        self.supervisor.rollout.submit(self.candidate())
        self.supervisor.run_commands()
        self.say(slot, Pong())  # it has begun to load
        self.supervisor.rollout.ready(slot, "sha256:0", overlap=overlap)
        self.supervisor.run_commands()
        return slot

    @staticmethod
    def candidate() -> Candidate:
        """A version that can be submitted."""
        return Candidate(UploadedArtifact(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), 0, 0))

    def worker(self, state: State) -> int:
        """The slot of the one worker in that state."""
        (slot,) = [each.slot for each in self.workers.by_slot.values() if each.state is state]
        return slot

    def connect(self) -> int:
        """A client connects, and a worker is given the connection; its number."""
        ours, client = socket.socketpair()
        number = self.supervisor.sockets.add(ours.detach())
        self.clients[number] = client
        self.supervisor.dispatcher.accepted([number])
        self.supervisor.run_commands()
        return number

    def is_ended(self, number: int) -> bool:
        """Whether a client sees the end of its connection."""
        try:
            return not self.clients[number].recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
        except BlockingIOError:
            return False

    def die(self, slot: int) -> None:
        """A worker exits, and the supervisor learns of it."""
        self.system.end(self.processes.by_slot[slot].pidfd, ExitStatus(status=3))
        self.supervisor.wait(0.0)

    def say(self, slot: int, message: Message, *descriptors: int) -> None:
        """A worker says something, and is heard."""
        self.system.ends[slot].send(message, descriptors)
        self.supervisor.wait(0.0)

    def orders(self, slot: int) -> list[Message]:
        """What a worker was told since the last look."""
        orders = []
        while (received := self.system.ends[slot].receive()) is not None:
            message, descriptors = received
            orders.append(message)
            for each in descriptors:
                os.close(each)
        return orders

    def look(self, seconds: float = 0.25) -> None:
        """So much later the supervisor looks at the scoreboard."""
        self.system.clock += seconds
        self.watchdog.tick(self.system.clock)
        self.supervisor.run_commands()
        self.watchdog.sleep_if_idle()

    def close(self) -> None:
        """Let go of everything."""
        for process in list(self.processes.by_slot.values()):
            self.system.endings[process.pidfd] = ExitStatus()
            self.processes.reap(process)
        for end in self.system.ends.values():
            end.close()
        for each in (self._listener, self._nobody, *self.clients.values()):
            each.close()
        for descriptor in self.supervisor.sockets.descriptors.values():
            os.close(descriptor)
