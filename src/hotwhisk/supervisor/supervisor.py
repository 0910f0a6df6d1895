"""
The supervisor: waits, accepts, and puts together the parts that decide and act.

`receiver` passes on to `rollout` what happened, and `executor` carries out what that decides.

It has one thread. It accepts, and keeps a duplicate of every connection, but it never reads a byte
of one, never decodes an artifact and runs no user code but that of ``--preload``. So it does not
die of any of them, and its memory stays clean enough to fork from.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from os import getpid

from hotwhisk.ipc.scoreboard import WORKERS, Phase, Scoreboard
from hotwhisk.supervisor import resources
from hotwhisk.supervisor.commands import SendAnswer
from hotwhisk.supervisor.executor import Executor
from hotwhisk.supervisor.generation import Policy
from hotwhisk.supervisor.history import History
from hotwhisk.supervisor.loop import EventLoop
from hotwhisk.supervisor.parts import Parts
from hotwhisk.supervisor.processes import Processes
from hotwhisk.supervisor.receiver import Receiver
from hotwhisk.supervisor.rollout import Rollout
from hotwhisk.supervisor.sockets import Sockets
from hotwhisk.supervisor.stats import Stats
from hotwhisk.system.system import EXHAUSTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket

    from hotwhisk.config.config import Config
    from hotwhisk.supervisor.action_output import ActionOutput
    from hotwhisk.supervisor.json_lines import WritingProcess
    from hotwhisk.supervisor.parts import Log
    from hotwhisk.supervisor.process import Process
    from hotwhisk.system.line_writer import LineWriter
    from hotwhisk.system.system import System


class Supervisor:
    """
    One server of at most ``capacity`` connections, which unpacks below ``folder``. ``log`` gets a
    line for each event; ``answered`` is called with the result of each replacement that did not
    come over HTTP. ``writer`` writes the output of the actions as JSON; None if the log is text.
    """

    def __init__(  # noqa: PLR0913 - all of them come from the server that is started
        self,
        config: Config,
        listener: _socket.socket,
        system: System,
        capacity: int,
        folder: str,
        *,
        log: Log,
        answered: Callable[[SendAnswer], None],
        writer: LineWriter | None = None,
    ) -> None:
        self.config = config
        self.system = system
        self.loop = EventLoop()
        self.scoreboard = Scoreboard(capacity)
        self.processes = Processes(system, config, self.scoreboard)
        close = self.processes.descriptors.close
        self.sockets = Sockets(self.scoreboard, close, workers=config.workers.most)
        self.rollout = Rollout(
            Policy(
                config.workers.least,
                config.crash_count,
                config.crash_window,
                config.profile,
                config.reinit,
                config.log_init_error,
                config.workers.most,
                config.fresh,
                config.probation,
                config.keep_previous,
            ),
            WORKERS,
            self._has_descriptors,
            lambda slot: self.scoreboard.claimed(slot) >= 0,
            History(time.time),
        )
        self.parts = Parts(
            config, system, folder, log, Stats(system.now()),
            self.loop, self.scoreboard, self.processes, self.sockets, self.rollout,
            self._output(writer) if writer is not None else None,
        )  # fmt: skip
        self.receiver = Receiver(self.parts)
        self.executor = Executor(self.parts, self.receiver, answered)
        self._limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._pipes = 0 if writer is None else resources.OUTPUT_DESCRIPTORS
        """The descriptors of the output of each process."""
        self._counted = 0
        """How many processes lived when the room for connections was counted."""
        self._paused = False
        """Whether no connection is accepted, since there is no room."""
        self._listener: _socket.socket | None = listener
        self.loop.watch(listener.fileno(), self._accept)

    def _output(self, writer: LineWriter) -> ActionOutput:
        from hotwhisk.supervisor.action_output import ActionOutput  # only for a log of JSON
        from hotwhisk.supervisor.json_lines import WritingProcess

        def own_origin() -> WritingProcess:
            return WritingProcess(
                self.rollout.current.number, self.rollout.current.digest, getpid()
            )

        def origin(process: Process) -> WritingProcess:
            return self.parts.origin(process)  # they do not exist yet

        return ActionOutput(writer, self.loop, self.scoreboard.capacity, origin, own_origin)

    # -- waiting ----------------------------------------------------------------------------

    def wait(self, timeout: float | None) -> None:
        """
        Wait at most ``timeout`` seconds for events, and act on them.

        Each event starts the timer of the watchdog, which stops it when nothing is in flight.
        """
        ready = self.loop.poll(timeout)
        if ready and not self.scoreboard.timer_on_here:
            self.scoreboard.timer_on = True
        for descriptor, events in ready:
            if self.loop.dispatch(descriptor, events):
                self.run_commands()
        self.remove_closed()

    def run_commands(self) -> None:
        """Carry out every decision, and what follows from the messages that were received."""
        self.executor.run()
        while self.receiver.handle_next():
            self.executor.run()

    def try_again(self) -> bool:
        """
        At a tick, try again what the system refused before: to watch, to send, to fork, to kill.

        Returns False if there was nothing to try.
        """
        rested = self.loop.try_again()
        waiting = [each for each in self.processes.by_slot.values() if each.channel.backlog]
        for process in waiting:
            self.receiver.flush(process)
        refused = self.processes.kill_again()
        while self.processes.given_up:
            self.receiver.give_up_worker(self.processes.given_up.pop())
        self.executor.start_pending()
        return rested or bool(waiting) or refused

    def must_try_again(self) -> bool:
        """Return whether the next tick has something to try again."""
        processes = self.processes
        backlog = any(each.channel.backlog for each in processes.by_slot.values())
        not_forked = processes.unforked() or processes.pending_spawns()
        return backlog or self.loop.has_later or bool(not_forked)

    @property
    def wants_early_tick(self) -> bool:
        """Return whether another worker could help a connection that was accepted lately."""
        return self.config.workers.most > 1 and self.rollout.dispatcher.wants_tick

    def sleep(self) -> None:
        """Stop the timer until the next event, such as a client that is not served at once."""
        self.scoreboard.timer_on = False
        self.sockets.inputs.watch(self.sockets.descriptors)
        self.loop.watch(self.sockets.inputs.fileno(), self.stay_awake)
        if self.parts.output is not None:
            self.parts.output.watch()

    def stay_awake(self) -> None:
        """Stop waiting for clients, because each tick of the watchdog sees them."""
        self.loop.unwatch(self.sockets.inputs.fileno())
        if self.parts.output is not None:
            self.parts.output.unwatch()

    # -- connections ------------------------------------------------------------------------

    def _accept(self) -> bool:
        """
        Accept one connection; return False if none waits.

        The next one is accepted after one more `wait`. That costs less than a further call that
        fails because none waits.
        """
        assert self._listener is not None
        try:
            # The private method is the one that makes no object; socket.accept uses it too.
            descriptor, _ = self._listener._accept()  # type: ignore[attr-defined]
        except OSError as error:
            if error.errno in EXHAUSTED:
                # The port stays readable, so the loop would call this again at once.
                self.loop.watch_later(self._listener.fileno())
            return False  # none is left, or it was reset while it waited
        self.rollout.dispatcher.accepted(self.sockets.add(descriptor))
        if self.sockets.full:
            self.loop.unwatch(self._listener.fileno())
            self._paused = True
            self.ask_for_closes()
            self.system.barrier()
            self.remove_closed()  # a worker that had not seen the flag yet sent no message
        return True

    def ask_for_closes(self) -> bool:
        """
        If there is no room for another connection, ask workers to report each one that they close.

        Return whether there is none. The caller asks again at each tick, because an action that
        writes into the scoreboard could take the question away, and no connection would be accepted
        any more.
        """
        if self._listener is None or not self.sockets.full:
            return False
        self.scoreboard.notify_close = True
        return True

    def accept_backlog(self) -> None:
        """Accept the connections in the backlog, and close the port."""
        assert self._listener is not None
        while not self.sockets.full and self._accept():
            pass
        self.loop.unwatch(self._listener.fileno())
        self._listener.close()
        self._listener = None

    def remove_closed(self) -> None:
        """Forget the connections that workers closed, and accept again if there was no room."""
        closed = self.scoreboard.in_phase(Phase.CLOSED)
        if closed:
            self.parts.remove_closed(closed)
        if len(self.processes.by_slot) != self._counted:
            self._counted = len(self.processes.by_slot)
            without_templates = self._counted - len(self.rollout.workers.templates)
            self.sockets.most = resources.room_beside(
                without_templates,
                self.config.workers.most,
                self._limit - self._pipes * without_templates,
            )
        if self._paused and self._listener is not None and not self.sockets.full:
            self._paused = self.scoreboard.notify_close = False
            self.loop.watch(self._listener.fileno(), self._accept)

    def _has_descriptors(self, workers: int) -> bool:
        processes = len(self.processes.by_slot) + workers
        room = resources.room_beside(
            processes, self.config.workers.most, self._limit - self._pipes * processes
        )
        return room - len(self.sockets.descriptors) >= resources.MARGIN_CONNECTIONS
