"""Run a server from start to end: limits, signals, the control socket, the banner."""

from __future__ import annotations

import _socket
import os
import signal

from hotwhisk import json_codec
from hotwhisk.action.isolation import invalidate_caches, server_modules
from hotwhisk.config.addresses import accepted_hosts, control_path, replace_command
from hotwhisk.errors import StartError
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.server import notify, run_folder, server_options
from hotwhisk.server.control import Control, ControlRequest
from hotwhisk.server.end_workers import EXIT_GRACE, end_workers, has_requests
from hotwhisk.server.named_file import why_unfit
from hotwhisk.server.notify import write_termination_log
from hotwhisk.server.server_history import ServerHistory
from hotwhisk.server.server_log import ServerLog
from hotwhisk.server.signal_socket import catch_signals, ignore_stops
from hotwhisk.server.status import status
from hotwhisk.supervisor import resources
from hotwhisk.supervisor.artifacts import is_own, named_by
from hotwhisk.supervisor.commands import SendAnswer
from hotwhisk.supervisor.demand import EARLY_TICK
from hotwhisk.supervisor.liveness import SOON
from hotwhisk.supervisor.log_events import LogEvent
from hotwhisk.supervisor.supervisor import Supervisor
from hotwhisk.supervisor.watchdog import Watchdog
from hotwhisk.system import features
from hotwhisk.system.output import line_buffer_c
from hotwhisk.system.system import System

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.config.config import Config
    from hotwhisk.server.admin import Admin

OVERTIME = 5.0
"""Seconds after ``--drain-timeout`` until the rest is killed, even if requests are in flight."""

REMOVAL = 5.0
"""Seconds to remove the server's folder at its end. The next start removes the rest."""


def serve(
    config: Config,
    listener: _socket.socket,
    changes: int | None = None,
    log: ServerLog | None = None,
) -> int:
    """
    Serve until a signal or a command stops the server; return the exit code.

    `hotwhisk.cli.watch` writes a line to the descriptor ``changes`` for each change of the sources.
    ``log`` is used in place of the log for an operator.

    Raises:
        StartError: the run folder cannot be used, the system refuses what a server needs, or FILE
            was built for another Python or platform.
    """
    if config.faster_json:
        json_codec.use_faster(server_modules)  # before any fork
    line_buffer_c()
    try:
        service = Server(config, listener, log or ServerLog(config))
    except OSError as error:
        raise StartError(
            f"the system refuses what a server needs: {error.strerror or error}; "
            "raise its limits (ulimit -n, memory), and see hotwhisk doctor"
        ) from error
    if changes is not None:
        service.supervisor.loop.watch(changes, lambda: service.sources_changed(changes))
    return service.run()


class Server:
    """One running server."""

    def __init__(self, config: Config, listener: _socket.socket, log: ServerLog) -> None:
        self.config = config
        features.require()
        self._folder = run_folder.claim_folder(config, os.environ)
        self.log = log
        self.supervisor = Supervisor(
            config, listener, System(), resources.capacity(config), self._folder.own,
            log=self.log, answered=self._answered, writer=self.log.writer,
        )  # fmt: skip
        parts = self.supervisor.parts
        self.log.begin(parts)
        self._history = ServerHistory(parts)
        answers = self._history.answers()
        answers["status"] = lambda question: question.answer(status(parts))
        self._tokens = server_options.token_rotation(config, parts)
        path = control_path(self._folder.path, self._folder.place)
        self._answering: list[Control | Admin] = [Control(path, answers, parts)]
        self._answering += server_options.admin(config, parts)
        self._watchdog = Watchdog(self.supervisor)
        self._now = self._next_tick = 0.0
        self._signals, self._wakeup = catch_signals(self.supervisor.system.signals)
        self.supervisor.loop.watch(self._signals.fileno(), self._signalled)
        self._stops = 0
        """How often it was told to stop; from the second time on it does not wait."""
        self._banner_printed = False
        self._why = "it was told to stop"
        """Why the server ends, for the termination log."""
        self._unfit = ""
        """Why FILE cannot be served, so that the server ends; empty if it can be."""

    def run(self) -> int:
        """Serve until stopped, and until requests in flight have answers; return the exit code."""
        supervisor = self.supervisor
        for warning in self.config.warnings if self.config.json_log else ():
            self.log(warning, LogEvent.UNKNOWN_VARIABLE)
        server_options.preload(self.config, supervisor.system, self.log)
        invalidate_caches()
        if self._folder.has_leftovers():
            supervisor.rollout.jobs.remove_leftovers()
        supervisor.run_commands()
        candidate = self._history.first_candidate()
        if candidate is None:
            self._announce_ready(f"no action yet: {replace_command(self.config)}")
        else:
            supervisor.rollout.submit(candidate)
            supervisor.run_commands()
        supervisor.scoreboard.timer_on = True
        while (since := self._watchdog.stopping_since) is None or not self._finished(since):
            self._wait()
        return self._terminate_workers()

    def _wait(self) -> None:
        supervisor = self.supervisor
        asleep = not supervisor.scoreboard.timer_on_here
        tick = None if asleep else max(0.0, self._next_tick - self._now)
        tokens = self._tokens
        pauses = (tick, self._history.pause, tokens.pause if tokens is not None else None)
        supervisor.wait(min((each for each in pauses if each is not None), default=None))
        self._history.follow()
        self._now = now = supervisor.system.now()
        if tokens is not None:
            tokens.check(now)
        if asleep:
            self._next_tick = now + SOON
        if supervisor.wants_early_tick:
            self._next_tick = min(self._next_tick, now + EARLY_TICK)
        if now >= self._next_tick:
            self._watchdog.tick(now)
            self._next_tick = now + self._watchdog.interval()
            supervisor.run_commands()
            self._watchdog.sleep_if_idle()
            for each in self._answering:
                if each.questions.expire(now):
                    supervisor.scoreboard.timer_on = True

    # -- events from outside ----------------------------------------------------------------

    def _signalled(self) -> None:
        try:
            numbers = set(self._signals.recv(4096))
        except OSError:
            return  # no memory for now: the signals stay in the socket
        for number in numbers:
            if number == signal.SIGCHLD:
                self.supervisor.processes.reap_orphans()
                continue
            if number == signal.SIGHUP:
                if self._tokens is not None:
                    self._tokens.read_again()
                self._reload()
                continue
            self._why = f"told to stop by {signal.Signals(number).name}"
            if number == signal.SIGQUIT or self._stops:
                self._stop_now()
            elif number in (signal.SIGTERM, signal.SIGINT):
                self._stop()

    def sources_changed(self, descriptor: int) -> None:
        """Load again what is served, because it has changed; at end of file, stop watching."""
        lines = os.read(descriptor, 65536).decode(errors="replace").splitlines()
        if lines:
            self._reload("; ".join(lines))
            return
        self.supervisor.loop.unwatch(descriptor)
        os.close(descriptor)
        text = "--watch ended: changes are not seen any more; start the server again for that"
        self.log(text, LogEvent.WATCH_ENDED)

    def _reload(self, because: str = "") -> None:
        candidate = named_by(self.config)
        if candidate is None:
            text = "SIGHUP loads FILE again, and this server was started without one"
            self.log(text, LogEvent.NOT_RELOADED)
            return
        rollout = self.supervisor.rollout
        if because and rollout.candidate is not None:
            rollout.candidate.superseded = is_own(rollout.candidate)
            candidate.fallback = rollout.candidate.fallback
        for waiting in rollout.waiting:
            if is_own(waiting):
                # It has not read its sources yet, so a further replacement would load the same.
                waiting.because = because
                return
        candidate.because = because
        self._notify(*notify.reloading_lines())
        self.supervisor.rollout.submit(candidate)

    def _stop(self) -> None:
        self._stops = 1
        self._notify(notify.STOPPING)
        supervisor = self.supervisor
        supervisor.accept_backlog()
        supervisor.rollout.stop()
        supervisor.scoreboard.notify_close = True
        self._watchdog.stopping_since = supervisor.system.now()
        left = len(supervisor.sockets.descriptors)
        text = f"stopping; connections to finish first: {left} (a second Ctrl-C stops at once)"
        self.log(text, LogEvent.STOPPING)

    def _stop_now(self) -> None:
        """Stop at once: requests in flight get an error instead of their answers."""
        if not self._stops:
            self._stop()
        self._stops = 2
        for slot in list(self.supervisor.rollout.workers.by_slot):
            self.supervisor.rollout.run_timed_out(slot, Cause.STOPPING, "the stop")
        self.supervisor.rollout.abort_loading()
        self.supervisor.rollout.refuse_waiting()
        self.supervisor.rollout.dispatcher.give_to_spare()

    def _answered(self, answer: SendAnswer) -> None:
        number, candidate = self.supervisor.rollout.current.number, answer.candidate
        if isinstance(candidate.requester, ControlRequest):
            candidate.requester.answered(answer, number)
        if answer.status == 200:
            self._announce_ready(self._history.describe(candidate, number))
            self._notify(*notify.ready_lines(f"generation {number} current"))
        elif candidate.requester is None:
            waits = number or candidate.superseded
            self._unfit = "" if waits else why_unfit(self.config, answer.text)
            if self._unfit:
                self._stop_now()
                return
            because = candidate.because and f"{candidate.because}: "
            self.log(f"{because}{answer.text}", LogEvent.LOAD_FAILED)
            if candidate.superseded:
                return  # what comes of the newer save is told then
            hint = replace_command(self.config)
            self._announce_ready(f"no action yet; correct that, then: {hint}")
            self._notify(*notify.ready_lines(f"generation {number} current: {answer.text}"))

    def _announce_ready(self, what: str) -> None:
        if self._banner_printed:
            return
        self._banner_printed = True
        host = self.config.host if ":" not in self.config.host else f"[{self.config.host}]"
        self.log(f"serving on http://{host}:{self.config.port} · {what}", LogEvent.READY)
        if hosts := accepted_hosts(self.config):
            text = f"called from elsewhere by: {hosts}; other names need --allow-host NAME"
            self.log(text, LogEvent.HOSTS)
        self._notify(*notify.ready_lines(what))
        if problem := notify.write_ready(self.config.ready_fd):
            self.log(problem, LogEvent.NOTIFY_FAILED)

    def _notify(self, *lines: str) -> None:
        if problem := notify.notify(self.config.notify_socket, *lines):
            self.log(problem, LogEvent.NOTIFY_FAILED)

    # -- the end ----------------------------------------------------------------------------

    def _finished(self, since: float) -> bool:
        """Return whether a stop that began at ``since`` is over."""
        limit = EXIT_GRACE if self._stops > 1 else self.config.drain_timeout + OVERTIME
        if self.supervisor.system.now() > since + limit:
            return True
        if not self.supervisor.sockets.descriptors:
            return True
        return self._stops > 1 and not has_requests(self.supervisor.parts)

    def _terminate_workers(self) -> int:
        """Let workers run their atexit functions, within limits, then end what is left."""
        supervisor = self.supervisor
        for each in self._answering:
            each.close()
        self._history.finish()
        end_workers(supervisor.parts, at_once=self._stops > 1)
        if supervisor.parts.output is not None:
            supervisor.parts.output.finish("the server ended")
        self._folder.remove(REMOVAL)
        ignore_stops()
        current = supervisor.rollout.current.number
        why = self._unfit or f"{self._why}; generation {current} was current"
        write_termination_log(self.config.termination_log, why)
        if self._unfit:
            raise StartError(self._unfit)
        return 0
