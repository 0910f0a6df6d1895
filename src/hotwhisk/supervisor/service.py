"""Run a server from start to end: limits, signals, the control socket, the banner."""

from __future__ import annotations

import os
import signal
import socket
from types import FrameType
from typing import TYPE_CHECKING

from hotwhisk import json_codec
from hotwhisk.action.house import at_home
from hotwhisk.addresses import accepted_hosts, client_flags
from hotwhisk.answers import Cause
from hotwhisk.artifact.built import misfit_of
from hotwhisk.errors import StartError
from hotwhisk.ledger import Phase
from hotwhisk.output import Output, line_buffer_c
from hotwhisk.places import control_path
from hotwhisk.supervisor import notify, premises, run_folder
from hotwhisk.supervisor.artifacts import Local, named_by
from hotwhisk.supervisor.control import Control, Question
from hotwhisk.supervisor.effects import Discard, Reply
from hotwhisk.supervisor.last_word import leave_word
from hotwhisk.supervisor.liveness import SOON
from hotwhisk.supervisor.parting import PARTING, end_workers
from hotwhisk.supervisor.preload import preload
from hotwhisk.supervisor.report import status
from hotwhisk.supervisor.rounds import Rounds
from hotwhisk.supervisor.supervisor import Supervisor
from hotwhisk.system import features
from hotwhisk.system.system import System

if TYPE_CHECKING:
    import _socket

    from hotwhisk.config import Config

OVERTIME = 5.0
"""Seconds after ``--drain-timeout``; then the rest is ended, whatever the ledger says of it."""

REMOVAL = 5.0
"""Seconds for the removal of the server's folder at its end; the next start finds the rest."""

SIGNALS = {
    signal.SIGTERM: "stop: answer what is there, then leave",
    signal.SIGINT: "stop, as SIGTERM; a second one leaves at once",
    signal.SIGQUIT: "leave at once: what is in flight gets an error",
    signal.SIGHUP: "load FILE again, and replace",
    signal.SIGCHLD: "reap what came to us as process 1",
}


def serve(config: Config, listener: _socket.socket, changes: int | None = None) -> int:
    """
    Serve until told to stop; return the exit code.

    The descriptor ``changes`` yields a line for each change of what is served, see
    `hotwhisk.cli.watch`.

    Raises:
        StartError: the folder for sockets and unpacked versions cannot be used, the system
            lacks what a server needs, or FILE was built for another Python or platform.
    """
    json_codec.use_faster(at_home)  # before any fork
    line_buffer_c()
    try:
        service = Service(config, listener)
    except OSError as error:
        raise StartError(
            f"the system refuses what a server needs: {error.strerror or error}; "
            "raise its limits (ulimit -n, memory), and see hotwhisk doctor"
        ) from error
    if changes is not None:
        service.supervisor.watch(changes, lambda: service.changed(changes))
    return service.run()


class Service:
    """One running server."""

    def __init__(self, config: Config, listener: _socket.socket) -> None:
        self.config = config
        features.require()
        self._folder = run_folder.claim_folder(config, os.environ)
        self.supervisor = Supervisor(
            config, listener, System(), premises.capacity(config), self._folder.own
        )
        self._stderr = Output(2, self.supervisor.ledger.streams[2], 3)
        self.supervisor.tell = self.tell
        self.supervisor.replied = self._replied
        self._control = Control(
            control_path(self._folder.path, self._folder.place),
            {"status": self._status, "rollback": self._roll_back},
            self.supervisor,
        )
        self._rounds = Rounds(self.supervisor)
        self._next_round = 0.0
        self._signals = self._catch_signals()
        self._stops = 0
        self._why = "it was told to stop"
        self._announced = False
        self._unfit = ""  # why FILE, if it was built, can never run here

    def run(self) -> int:
        """Serve until told to stop and all in flight is answered; return the exit code."""
        supervisor = self.supervisor
        preload(self.config.preload, supervisor.system, self.config.init_timeout, self.tell)
        if self._folder.has_leftovers():
            supervisor.succession.effects.append(Discard(int(run_folder.LEFT)))
        supervisor.carry_out()
        candidate = named_by(self.config)
        if candidate is None:
            self._announce(f"no action yet: hotwhisk replace{client_flags(self.config)} FILE")
        else:
            supervisor.succession.submit(candidate)
            supervisor.carry_out()
        while not self._finished():
            self._wait()
        return self._part()

    def tell(self, text: str) -> None:
        """Write a line for the operator; not under OpenWhisk, where stderr is the action's."""
        if not self.config.openwhisk:
            # A closed terminal, a full disk or a log without a reader costs this line only.
            self._stderr.write(f"hotwhisk: {text}\n".encode(errors="replace"), patience=0.0)

    def _wait(self) -> None:
        supervisor = self.supervisor
        if not supervisor.ledger.clock_wanted:
            supervisor.wait(None)
            self._next_round = supervisor.system.now() + SOON
            return
        supervisor.wait(max(0.0, self._next_round - supervisor.system.now()))
        now = supervisor.system.now()
        if now >= self._next_round:
            self._rounds.go(now)
            self._next_round = now + self._rounds.interval()
            if self._control.expire(now):
                supervisor.ledger.ticking = True
            supervisor.carry_out()

    # -- events from outside ----------------------------------------------------------------

    def _catch_signals(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        self._wakeup = theirs
        signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, _do_nothing)
        self.supervisor.system.signals.ignore()
        # Signals that have waited since the port was opened are delivered now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
        self.supervisor.watch(ours.fileno(), self._signalled)
        return ours

    def _signalled(self) -> None:
        try:
            numbers = set(self._signals.recv(4096))
        except OSError:
            return  # no memory for now: the signals stay in the socket
        for number in numbers:
            if number == signal.SIGCHLD:
                self.supervisor.crew.reap_strangers()
                continue
            if number == signal.SIGHUP:
                self._reload()
                continue
            self._why = f"told to stop by {signal.Signals(number).name}"
            if number == signal.SIGQUIT or self._stops:
                self._stop_now()
            elif number in (signal.SIGTERM, signal.SIGINT):
                self._stop()

    def changed(self, descriptor: int) -> None:
        """Load again what is served, because it has changed; at end of file, stop watching."""
        lines = os.read(descriptor, 65536).decode(errors="replace").splitlines()
        if lines:
            self._reload("; ".join(lines))
            return
        self.supervisor.unwatch(descriptor)
        os.close(descriptor)
        self.tell("--watch ended: changes are not seen any more; start the server again for that")

    def _reload(self, because: str = "") -> None:
        candidate = named_by(self.config)
        if candidate is None:
            self.tell("SIGHUP loads FILE again, and this server was started without one")
            return
        for waiting in self.supervisor.succession.candidates:
            if isinstance(waiting.artifact, Local) and waiting.asker is None:
                # This replacement has not been read yet, so a further one would load the same.
                waiting.because = because
                return
        candidate.because = because
        self._notify(*notify.reloading())
        self.supervisor.succession.submit(candidate)

    def _stop(self) -> None:
        self._stops = 1
        self._notify(notify.STOPPING)
        supervisor = self.supervisor
        supervisor.accept_backlog()
        supervisor.succession.stop()
        supervisor.ledger.attentive = supervisor.ledger.ticking = True
        self._rounds.stopping_since = supervisor.system.now()
        self.tell(f"stopping; connections to finish first: {len(supervisor.holdings.sockets)}")

    def _stop_now(self) -> None:
        """Stop at once: requests in flight get an error instead of their answers."""
        if not self._stops:
            self._stop()
        self._stops = 2
        for slot in list(self.supervisor.succession.roster.workers):
            self.supervisor.succession.expired(slot, Cause.STOPPING, "the stop")
        self.supervisor.succession.give_up_loading()
        self.supervisor.assignment.leave_to_desk()

    def _status(self, question: Question) -> None:
        question.answer(status(self.supervisor))

    def _roll_back(self, question: Question) -> None:
        if not self.supervisor.succession.roll_back(question):
            text = "nothing to roll back to: this is the first version, or was rolled back to"
            question.answer({"version": 1, "error": text})

    def _replied(self, reply: Reply) -> None:
        number = self.supervisor.succession.charge.number
        if isinstance(reply.candidate.asker, Question):
            reply.candidate.asker.replied(reply, number)
        if reply.status == 200:
            name = self.config.file or self.config.module
            self._announce(f"{name} is generation {number}")
            self._notify(*notify.ready(f"generation {number} in charge"))
        elif reply.candidate.asker is None:
            self._unfit = "" if number else misfit_of(self.config.file or "")
            if self._unfit:  # it will never run here either
                self._stop_now()
                return
            because = reply.candidate.because and f"{reply.candidate.because}: "
            self.tell(f"{because}{reply.text}")
            command = f"hotwhisk replace{client_flags(self.config)} {self.config.file or 'FILE'}"
            self._announce(f"no action yet; fix the file, then: {command}")
            self._notify(*notify.ready(f"generation {number} in charge: {reply.text}"))

    def _announce(self, what: str) -> None:
        if self._announced:
            return
        self._announced = True
        host = self.config.host if ":" not in self.config.host else f"[{self.config.host}]"
        self.tell(f"serving on http://{host}:{self.config.port} · {what}")
        if hosts := accepted_hosts(self.config):
            self.tell(f"called from elsewhere by: {hosts}; other names need --allow-host NAME")
        self._notify(*notify.ready(what))
        if problem := notify.write_ready(self.config.ready_fd):
            self.tell(problem)

    def _notify(self, *lines: str) -> None:
        if problem := notify.notify(self.config.notify_socket, *lines):
            self.tell(problem)

    # -- the end ----------------------------------------------------------------------------

    def _finished(self) -> bool:
        since = self._rounds.stopping_since
        if since is None:
            return False
        limit = PARTING if self._stops > 1 else self.config.drain_timeout + OVERTIME
        if self.supervisor.system.now() > since + limit:
            return True
        ledger = self.supervisor.ledger
        owed = (Phase.HANDLING, Phase.ANSWERING, Phase.PARKED, Phase.WAITING, Phase.LENT)
        in_flight = any(map(ledger.in_phase, owed)) or self.supervisor.assignment.custody.waiting
        return not self.supervisor.holdings.sockets or (self._stops > 1 and not in_flight)

    def _part(self) -> int:
        """Let workers run their atexit functions, within limits, then end what is left."""
        supervisor = self.supervisor
        self._control.close()
        end_workers(supervisor, at_once=self._stops > 1)
        self._folder.release(REMOVAL)
        charge = supervisor.succession.charge.number
        why = self._unfit or f"{self._why}; generation {charge} was in charge"
        leave_word(self.config.termination_log, why)
        if self._unfit:
            raise StartError(self._unfit)
        return 0


def _do_nothing(_: int, __: FrameType | None) -> None:
    """Do nothing: the wake-up descriptor has told the loop already."""
