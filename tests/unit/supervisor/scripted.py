"""A whole supervisor with a fake clock and fake processes, which start and end as the test says."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NoReturn, cast

from hotwhisk.config.config import Config
from hotwhisk.ipc.channel import Channel
from hotwhisk.ipc.messages import Message, StartTimer
from hotwhisk.supervisor.artifacts import UploadedArtifact
from hotwhisk.supervisor.commands import Candidate, SendAnswer
from hotwhisk.supervisor.supervisor import Supervisor
from hotwhisk.supervisor.watchdog import Watchdog
from hotwhisk.supervisor.workers import State
from hotwhisk.system.children import ExitStatus
from hotwhisk.system.system import System


class FakeSystem:
    """Processes that are a pidfd, readable once dead, and the worker's end of the channel."""

    has_barrier = True
    may_kill = True
    weaknesses: tuple[str, ...] = ()
    room = 1000
    """For how many further workers there is memory."""

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

    def room_for(self, pids: Collection[int]) -> int:
        assert set(pids) <= {0, *range(100_000, 100_000 + 512)}
        return self.room

    def fork(self, _: Callable[[], NoReturn], name: str) -> tuple[int, int]:
        slot = int(name.partition(":")[2])
        if slot in self.ends:
            self.ends[slot].close()
        self.ends[slot] = Channel(socket.socket(fileno=os.dup(self.end_of(slot).fileno())))
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
    """A supervisor; the test sends messages as its workers, and reads the messages to them."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.system = FakeSystem()
        self._listener, self._other_end = socket.socketpair()
        self.logged: list[str] = []
        self.answers: list[SendAnswer] = []
        self.clients: dict[int, socket.socket] = {}
        self.supervisor = Supervisor(
            config, self._listener, cast("System", self.system), 8, str(folder),
            log=lambda text, event: self.logged.append(text), answered=self.answers.append,
        )  # fmt: skip
        self.processes, self.scoreboard = self.supervisor.processes, self.supervisor.scoreboard
        self.workers = self.supervisor.rollout.workers
        self.owners = self.supervisor.rollout.dispatcher.owners
        self.system.end_of = self._end_of
        self.watchdog = Watchdog(self.supervisor)
        self.supervisor.run_commands()

    def _end_of(self, slot: int) -> socket.socket:
        pending_fork = self.processes.by_slot[slot].pending_fork
        assert pending_fork is not None
        assert pending_fork.end is not None
        return pending_fork.end

    def serve(self, *, overlap: bool = False) -> int:
        """Make a version current; return the slot of its worker."""
        slot = self.workers.spare
        self.supervisor.rollout.submit(self.candidate())
        self.supervisor.run_commands()
        self.send(slot, StartTimer())
        self.supervisor.rollout.ready(slot, "sha256:0", overlap=overlap)
        self.supervisor.run_commands()
        return slot

    @staticmethod
    def candidate() -> Candidate:
        """Return a version that can be submitted."""
        return Candidate(UploadedArtifact(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), 0, 0))

    def worker(self, state: State) -> int:
        """Return the slot of the only worker in that state."""
        (slot,) = [each.slot for each in self.workers.by_slot.values() if each.state is state]
        return slot

    def connect(self) -> int:
        """Connect a client, whose connection is assigned to a worker; return its number."""
        ours, client = socket.socketpair()
        number = self.supervisor.sockets.add(ours.detach())
        self.clients[number] = client
        self.supervisor.rollout.dispatcher.accepted(number)
        self.supervisor.run_commands()
        return number

    def read(self, number: int) -> None:
        """Read what a client sent, as its worker does."""
        os.read(self.supervisor.sockets.descriptors[number], 65536)

    def is_ended(self, number: int) -> bool:
        """Return whether a client sees the end of its connection."""
        try:
            return not self.clients[number].recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
        except BlockingIOError:
            return False

    def die(self, slot: int) -> None:
        """End a worker, and let the supervisor learn of it."""
        self.system.end(self.processes.by_slot[slot].pidfd, ExitStatus(status=3))
        self.supervisor.wait(0.0)

    def send(self, slot: int, message: Message, *descriptors: int) -> None:
        """Send a message as a worker, and let the supervisor receive it."""
        self.system.ends[slot].send(message, descriptors)
        self.supervisor.wait(0.0)

    def messages(self, slot: int) -> list[Message]:
        """Return the messages to a worker since the last call."""
        messages = []
        while (received := self.system.ends[slot].receive()) is not None:
            message, descriptors = received
            messages.append(message)
            for each in descriptors:
                os.close(each)
        return messages

    def tick(self, seconds: float = 0.25) -> None:
        """Let the supervisor's watchdog look at the scoreboard so many seconds later."""
        self.system.clock += seconds
        self.watchdog.tick(self.system.clock)
        self.supervisor.run_commands()
        self.watchdog.sleep_if_idle()

    def close(self) -> None:
        """Close everything."""
        for process in list(self.processes.by_slot.values()):
            self.system.endings[process.pidfd] = ExitStatus()
            self.processes.reap(process)
        for end in self.system.ends.values():
            end.close()
        for each in (self._listener, self._other_end, *self.clients.values()):
            each.close()
        for descriptor in self.supervisor.sockets.descriptors.values():
            os.close(descriptor)
