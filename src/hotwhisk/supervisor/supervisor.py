"""
The supervisor: waits, accepts, and brings together the parts that decide and act.

`receiver` tells `rollout` what happened, `execution` carries out what that decides.

Single-threaded. It accepts, and keeps a duplicate of every connection, but never reads a byte
of one, never decodes an artifact and never runs user code; so it does not die of any of them,
and its memory stays clean enough to fork from.
"""

from __future__ import annotations

import resource
import select
from collections.abc import Callable
from typing import TYPE_CHECKING

from hotwhisk.ipc.scoreboard import WORKERS, Scoreboard
from hotwhisk.openwhisk.answers import Profile
from hotwhisk.server import resources
from hotwhisk.server.status import Stats
from hotwhisk.supervisor.commands import Reply
from hotwhisk.supervisor.executor import Executor
from hotwhisk.supervisor.generation import Policy
from hotwhisk.supervisor.process import Process
from hotwhisk.supervisor.processes import Processes
from hotwhisk.supervisor.receiver import Receiver
from hotwhisk.supervisor.rollout import Rollout
from hotwhisk.supervisor.sockets import Sockets
from hotwhisk.system.system import EXHAUSTED

if TYPE_CHECKING:
    import _socket

    from hotwhisk.config.config import Config
    from hotwhisk.system.system import System


class Supervisor:
    """
    One server of at most ``capacity`` connections, which unpacks below ``folder``. ``tell`` gets
    a line for each event; ``replied`` hears of replacements that did not come over HTTP.
    """

    def __init__(
        self, config: Config, listener: _socket.socket, system: System, capacity: int, folder: str
    ) -> None:
        self.config = config
        self.profile = Profile.OPENWHISK if config.openwhisk else Profile.PLAIN
        self.system = system
        self.folder = folder
        self.log: Callable[[str], None] = lambda _: None
        self.replied: Callable[[Reply], None] = lambda _: None
        self.stats = Stats(system.now())
        self.scoreboard = Scoreboard(capacity)
        self.processes = Processes(system, config, self.scoreboard)
        close = self.processes.descriptors.close
        self.sockets = Sockets(self.scoreboard, close, workers=config.workers)
        self.rollout = Rollout(
            Policy(
                config.workers,
                config.crash_count,
                config.crash_window,
                self.profile,
                config.reinit,
                config.log_init_error,
            ),
            WORKERS,
        )
        self.rollout.has_descriptors = self._has_descriptors
        self.dispatcher = self.rollout.dispatcher
        self.executor = Executor(self)
        self.receiver = Receiver(self)
        self._limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._counted = 0
        """How many processes lived when the room for connections was counted."""
        self._epoll = select.epoll()
        self._sources: dict[int, Callable[[], object]] = {}
        self._resting: dict[int, Callable[[], object]] = {}
        """Descriptors to watch again at the next tick."""
        self._listener: _socket.socket | None = listener
        self.watch(listener.fileno(), self._accept)

    # -- waiting ----------------------------------------------------------------------------

    def watch(self, descriptor: int, callback: Callable[[], object]) -> None:
        """Call back when a descriptor is readable; if memory is short, from the next tick on."""
        try:
            self._epoll.register(descriptor, select.EPOLLIN)
        except OSError:
            self._resting[descriptor] = callback
            self.scoreboard.timer_on = True
        else:
            self._sources[descriptor] = callback

    def unwatch(self, descriptor: int) -> None:
        """Stop watching a descriptor; it is not an error if it was not watched."""
        self._resting.pop(descriptor, None)
        if self._sources.pop(descriptor, None) is not None:
            try:
                self._epoll.unregister(descriptor)
            except OSError:
                pass  # it is closed next, or its events are ignored

    def rest(self, descriptor: int) -> None:
        """Watch a descriptor again only from the next tick on, since a resource is lacking now."""
        callback = self._sources.get(descriptor)
        if callback is not None:
            self.unwatch(descriptor)
            self._resting[descriptor] = callback
            self.scoreboard.timer_on = True

    def try_again(self) -> bool:
        """
        At a tick, try again to watch, to send and to kill where the system refused before.

        Returns False if there was nothing to try.
        """
        resting, self._resting = self._resting, {}
        for descriptor, callback in resting.items():
            self.watch(descriptor, callback)
        waiting = [each for each in self.processes.by_slot.values() if each.channel.backlog]
        for process in waiting:
            process.channel.flush()
            self._listen(process)
        return self.processes.kill_again() or bool(resting or waiting)

    def wait(self, timeout: float | None) -> None:
        """Wait at most ``timeout`` seconds for events, and act on them."""
        if self.processes.given_up or any(each.inbox for each in self.processes.by_slot.values()):
            timeout = 0.0  # something was collected on the way, and is heard below
        for descriptor, events in self._epoll.poll(timeout):
            source = self._sources.get(descriptor)
            if source is None:
                continue  # forgotten by what came before it in this batch
            if events & select.EPOLLOUT:
                self._flush(descriptor)
            source()
            self.run_commands()
        for process in [each for each in self.processes.by_slot.values() if each.inbox]:
            self.receiver.receive(process)
        while self.processes.given_up:
            self.receiver.give_up(self.processes.given_up.pop())
            self.run_commands()
        self.remove_closed()

    def run_commands(self) -> None:
        """Carry out every decision."""
        self.executor.run()

    def start_pending(self) -> None:
        """Start the workers that could not be started before."""
        self.executor.start_pending()

    def watch_writable(self, process: Process) -> None:
        """
        Send the messages that wait for a worker as soon as its channel takes more.

        They may also wait for memory or a limit, which no event reports, so each tick tries them
        too.
        """
        self.scoreboard.timer_on = True
        self._listen(process)

    def _listen(self, process: Process) -> None:
        """Watch a worker's channel for messages, and for room if it is full."""
        descriptor = process.channel.fileno()
        if descriptor in self._sources:
            events = select.EPOLLIN | (select.EPOLLOUT if process.channel.full else 0)
            try:
                self._epoll.modify(descriptor, events)
            except OSError:
                pass  # the tick sends the waiting messages

    def _flush(self, descriptor: int) -> None:
        for process in self.processes.by_slot.values():
            if process.channel.fileno() == descriptor:
                process.channel.flush()
                self._listen(process)

    def sleep(self) -> None:
        """Stop the ticking until a client is not served at once."""
        self.scoreboard.timer_on = False
        self.sockets.inputs.watch(self.sockets.descriptors)
        self.watch(self.sockets.inputs.fileno(), self._be_awake)

    def stay_awake(self) -> None:
        """Stop waiting for clients: each look sees them."""
        self.unwatch(self.sockets.inputs.fileno())

    def _be_awake(self) -> None:
        self.stay_awake()
        self.scoreboard.timer_on = True

    # -- connections ------------------------------------------------------------------------

    def _accept(self) -> bool:
        """
        Take one connection; False if none waits. Under load the next is taken after one more
        wait, which costs less than finding by an error that there is none.
        """
        assert self._listener is not None
        try:
            # The private method is the one that makes no object; socket.accept uses it too.
            descriptor, _ = self._listener._accept()  # type: ignore[attr-defined]
        except OSError as error:
            if error.errno in EXHAUSTED:
                self.rest(self._listener.fileno())  # it stays readable, so the loop would spin
            return False  # none is left, or it was reset while it waited
        self.dispatcher.accepted([self.sockets.add(descriptor)])
        self.scoreboard.timer_on = True  # because its worker may be stuck
        if self.sockets.full:
            self.unwatch(self._listener.fileno())
            self.keep_full()
            self.system.barrier()
            self.remove_closed()  # a worker that closed one before it could see that sent no word
        return True

    def keep_full(self) -> bool:
        """
        Ask workers to report each connection that they close, while there is no room for another.

        It asks again at each tick, because otherwise a worker that writes into the scoreboard could
        keep the port closed.
        """
        if self._listener is None or not self.sockets.full:
            return False
        self.scoreboard.notify_close = self.scoreboard.timer_on = True
        return True

    def accept_backlog(self) -> None:
        """Accept the connections in the backlog, and close the port."""
        assert self._listener is not None
        while not self.sockets.full and self._accept():
            pass
        self.unwatch(self._listener.fileno())
        self._listener.close()
        self._listener = None

    def remove_closed(self) -> None:
        """Forget the connections that workers closed, and accept again if there was no room."""
        closed = self.sockets.remove_closed(self.dispatcher.owners.is_held)
        for number in closed:
            self.dispatcher.closed(number)
        if closed or len(self.processes.by_slot) != self._counted:
            self._count_room()

    def _count_room(self) -> None:
        """Count the descriptors beside those of living processes; accept while there is room."""
        self._counted = len(self.processes.by_slot)
        templates = [each for each in self.rollout.workers.by_slot.values() if each.is_template]
        self.sockets.most = self._room_beside(self._counted - len(templates))
        listener = self._listener
        if listener is None or listener.fileno() in self._sources or self.sockets.full:
            return
        self.scoreboard.notify_close = False
        self._resting.pop(listener.fileno(), None)
        self.watch(listener.fileno(), self._accept)

    def _room_beside(self, processes: int) -> int:
        return resources.room_beside(processes, self.config.workers, self._limit)

    def _has_descriptors(self, workers: int) -> bool:
        room = self._room_beside(len(self.processes.by_slot) + workers)
        return room - len(self.sockets.descriptors) >= resources.SPARE_CONNECTIONS
