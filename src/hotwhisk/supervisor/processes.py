"""The live processes of the supervisor: fork, kill and reap them, and kill their orphans."""

from __future__ import annotations

import _socket
import fcntl
import os
import resource
import sys
from signal import SIGKILL

from hotwhisk.action.signal_guard import guard_handlers
from hotwhisk.config.config import Config
from hotwhisk.config.platform import TAG_VARIABLE, worker_environment
from hotwhisk.ipc.channel import Channel
from hotwhisk.ipc.messages import FROM_TEMPLATE, FROM_WORKER, SetTokens, Spawn, Spawned
from hotwhisk.ipc.scoreboard import Scoreboard
from hotwhisk.supervisor.process import PendingFork, Process
from hotwhisk.system.children import ExitStatus, children
from hotwhisk.system.descriptors import Descriptors, close_others, of_libffi
from hotwhisk.system.system import System
from hotwhisk.worker.connections import Place
from hotwhisk.worker.template import template_name
from hotwhisk.worker.worker import Worker
from hotwhisk.worker.worker_options import optional_parts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


LOWEST_OWN = 4200
"""Where a worker's own descriptors begin: actions that close "all" of theirs stop at 4096."""

ROOM_FOR_OWN = 16

FAST_EXIT = 0.25
"""Seconds; a spare that dies younger is no reason to fork the next one at once."""


class Processes:
    """The live workers and templates, by slot."""

    def __init__(self, system: System, config: Config, scoreboard: Scoreboard) -> None:
        self._system = system
        self._parts = optional_parts(config)
        self.config = config
        """What each process that is forked from now on gets."""
        self._scoreboard = scoreboard
        self.by_slot: dict[int, Process] = {}
        self._libffi = of_libffi()
        self.descriptors = Descriptors()
        """Descriptors that queued messages still need."""
        self.backoff = False
        """Whether no process is forked before the next tick: the last spare exited at once."""
        self.given_up: list[Process] = []
        """Workers that cannot be killed, and whose requests are still to be settled."""
        self.helpers: set[int] = set()
        """The ids of processes of ours that are no workers; who started one reaps it."""
        self._unkillable: list[Process] = []
        """Workers that could not be killed, including the given-up ones, until they end."""
        self._ended: list[tuple[int, str]] = []
        """The process ids and names of dead workers that may still leave orphans."""

    def create(self, slot: int) -> Process:
        """
        Open the channel of a worker whose process will be started later; return the worker.

        From now on messages can be sent to the worker. If another worker is pending in this slot,
        it is forgotten. If a template forks it later, it exits, because its channel is closed.
        """
        before = self.by_slot.get(slot)
        process = Process(slot, Channel(None, FROM_WORKER, self.descriptors), self._system.now())
        # Counted here, because the worker may be recalled before its process runs.
        process.pending_fork = PendingFork(self._scoreboard.recalls(slot))
        self.by_slot[slot] = process
        if before is not None:
            process.generation, process.cancelled = before.generation, before.cancelled
            before.channel.close()
        return process

    def unforked(self) -> list[Process]:
        """Return the workers whose process is to be started now."""
        return [
            each
            for each in self.by_slot.values()
            if each.pending_fork is not None and (not each.when_needed or each.channel.backlog)
        ]

    def start(self, process: Process) -> None:
        """
        Fork the process of a pending worker.

        Raises:
            OSError: the system has none to give; it can be tried again.
        """
        end, recalls = self._open_channel(process)
        process.pid, process.pidfd = self._system.fork(
            lambda: self._become_worker(process.slot, end, recalls), process.name
        )
        process.pending_fork, process.started = None, self._system.now()
        end.close()
        if process.cancelled:
            self.kill(process.slot)

    def add_template(
        self, slot: int, generation: int, pid: int, descriptors: tuple[int, int]
    ) -> Process:
        """
        Add the process of a template that a worker has left; return it.

        The ``descriptors`` are the template's channel and its pidfd; from now on they are ours.
        """
        end, pidfd = descriptors
        # Given the family and type, an error of the system while Python asks for them is no matter.
        opened = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, end)
        channel = Channel(opened, FROM_TEMPLATE, self.descriptors)
        template = Process(slot, channel, self._system.now())
        template.generation, template.name = generation, template_name(generation)
        template.pid, template.pidfd = pid, pidfd
        self.by_slot[slot] = template
        return template

    def fork_from_template(self, slot: int, template: Process) -> None:
        """
        Tell a template to fork a worker.

        `add_spawned` gets the template's answer. Until then the worker is pending, and its messages
        wait in its channel.

        Raises:
            OSError: no descriptors are free for its channel.
        """
        process = self.create(slot)
        process.generation = template.generation
        end, recalls = self._open_channel(process)
        process.pending_fork, process.template = None, template
        try:
            # The template has the tokens of the time when its action was loaded.
            if self.config.tokens.replace:
                process.channel.send(SetTokens(*self.config.tokens.hex()))
            template.channel.send(Spawn(slot, recalls, process.name), (end.fileno(),))
        finally:
            end.close()

    def _open_channel(self, process: Process) -> tuple[_socket.socket, int]:
        """
        Return the worker's end of its channel, and how often its slot was recalled before.

        Raises:
            OSError: no descriptor is free for it.
        """
        pending_fork = process.pending_fork
        assert pending_fork is not None
        if pending_fork.end is None:
            ours, theirs = Channel.pair()
            process.channel.open(ours)
            process.pending_fork = pending_fork = PendingFork(pending_fork.recalls, theirs)
        assert pending_fork.end is not None
        return pending_fork.end, pending_fork.recalls

    def add_spawned(self, template: Process, message: Spawned) -> Process | None:
        """
        Return the worker whose process id a template reports; None if it has none for that slot.

        Raises:
            OSError: there is no such child, or no descriptor is free for it.
        """
        process = self.by_slot.get(message.slot)
        if process is None or process.template is not template or not message.pid:
            return None
        if message.pid in self._pids():
            return None
        process.pidfd = self._system.open_child(message.pid)
        process.pid, process.template = message.pid, None
        if process.cancelled:
            self.kill(process.slot)
        return process

    def can_adopt(self, pid: int) -> bool:
        """
        Return whether a process id that a worker or a template reports can be a new process of
        ours.

        It has to be a child of ours that is not known yet.
        """
        return pid not in self._pids() and pid in children()

    def _pids(self) -> list[int]:
        return [*self.helpers, *(each.pid for each in self.by_slot.values())]

    def pending_spawns(self, template: Process | None = None) -> list[Process]:
        """Return the pending workers that ``template`` was told to fork; None is any template."""
        return [
            each
            for each in self.by_slot.values()
            if each.template is not None and template in (None, each.template)
        ]

    def has_exited(self, process: Process) -> bool:
        """Return whether a worker is dead; if it is, ``process.ending`` says how it ended."""
        if process.ending is None and process.pidfd >= 0:
            process.ending = self._system.ended(process.pidfd)
        return process.ending is not None

    def reap(self, process: Process) -> None:
        """Forget a worker that is dead or will not be started, and kill what it left."""
        del self.by_slot[process.slot]
        process.channel.close()
        if process.pending_fork is not None and process.pending_fork.end is not None:
            process.pending_fork.end.close()
        if process.pending:
            return
        age = self._system.now() - process.started
        self.backoff = process.generation == 0 and age < FAST_EXIT
        self._end_descendants(process.pid, process.name)
        if process not in self._unkillable:
            self._system.reap(process.pidfd)
            os.close(process.pidfd)

    def kill(self, slot: int) -> None:
        """
        Kill the worker in ``slot``. Its death is noticed like any other death.

        If the system refuses, `kill_again` tries again.
        """
        process = self.by_slot.get(slot)
        if process is None or process.ending is not None:
            return
        if process.pending:
            process.cancelled = True
        elif not self._system.kill(process.pidfd) and process not in self._unkillable:
            self._unkillable.append(process)

    def kill_again(self) -> bool:
        """
        Try again to kill the workers that could not be killed; return False if none is left.

        A worker is given up if the system refuses again: it counts as dead from now on.
        """
        for process in list(self._unkillable):
            dead = self._system.ended(process.pidfd) is not None
            if process.slot not in self.by_slot or self.by_slot[process.slot] is not process:
                if dead or (self._system.kill(process.pidfd) and self._system.ended(process.pidfd)):
                    self._unkillable.remove(process)
                    self._system.reap(process.pidfd)
                    os.close(process.pidfd)
            elif dead or self._system.kill(process.pidfd):
                self._unkillable.remove(process)
            elif process.ending is None:
                process.ending = ExitStatus(signal=SIGKILL)
                self.given_up.append(process)
        return bool(self._unkillable)

    def reap_orphans(self) -> None:
        """
        Reap adopted processes that are not ours, as process 1 must.

        A worker that a template has forked may end before its process id is known. So nothing is
        reaped while any such worker is pending.
        """
        if self.pending_spawns():
            return
        known = self._pids()
        self._system.reap_orphans(known)
        kill = self._system.kill_orphans
        self._ended = [each for each in self._ended if kill(*each, known)]

    def _end_descendants(self, pid: int, name: str) -> None:
        """Kill what a dead worker left, and remember the worker while orphans may come."""
        self._system.kill_group(pid)
        if self._system.kill_orphans(pid, name, [*self._pids(), pid]):
            self._ended.append((pid, name))

    @property
    def has_orphans(self) -> bool:
        """Return whether orphans of dead workers were killed and have not exited yet."""
        return bool(self._ended)

    def _become_worker(self, slot: int, end: _socket.socket, recalls: int) -> NoReturn:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        lowest = min(LOWEST_OWN, soft - ROOM_FOR_OWN)
        high = fcntl.fcntl(end.fileno(), fcntl.F_DUPFD_CLOEXEC, lowest)
        # Everything that the supervisor has: connections, channels of other workers, the port.
        close_others([*self._libffi, high])
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        self._system.raise_oom_score()
        worker_environment(os.environ, TAG_VARIABLE, os.getpid())
        guard_handlers()
        channel = Channel(_socket.socket(fileno=high))
        place = Place(slot, recalls, lowest)
        worker = Worker(channel, self._scoreboard, place, self.config, self._parts)
        try:
            worker.run()
        except BaseException:
            sys.excepthook(*sys.exc_info())
        os._exit(70)
