"""
Connect the workers of a trial: a socket for copies of requests, and pipes for what is printed.

Carries out the commands of `trials`, and looks at the clock for it. The copies go from worker to
worker: each worker of the current version has a duplicate of one end of the socket, the worker on
trial has the other end. So the supervisor reads no request here either.

Unless the log is JSON, whose lines have a mark anyway, the worker on trial prints into two pipes;
see `trial_output`.
"""

from __future__ import annotations

import _socket
from fcntl import ioctl
from termios import TIOCOUTQ

from hotwhisk.ipc.messages import BeginTrial, Compared, OfferCopies, TrialEnded
from hotwhisk.supervisor import commands
from hotwhisk.supervisor.ages import Ages
from hotwhisk.supervisor.trial_output import TrialOutput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.supervisor.parts import Parts

    TrialCommand = commands.BeginTrial | commands.OfferCopies | commands.CloseTrial

ROOM = 1 << 17
"""Bytes for one copy that waits, which are more than a worker sends at once."""

LONGEST_SILENCE = 60.0
"""Most seconds that a copy may take, where a request may take longer, or for ever."""


def report(parts: Parts, slot: int, message: Compared | TrialEnded) -> None:
    """
    Pass on what a worker on trial reports.

    Raises:
        ProtocolError: it is not on trial, or was not told to end its trial.
    """
    trials = parts.rollout.trials
    if isinstance(message, Compared):
        trials.compared(slot, message.difference)
        return
    if parts.output is not None:
        parts.output.tick()  # what it has printed until now is written with the mark
    # Dead already? Then its exit refuses the version, as in `ready`.
    if not parts.processes.has_exited(parts.processes.by_slot[slot]):
        trials.ended(slot)


class TrialChannel:
    """The socket and the pipes of the trial that goes on, if there is one."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._descriptors = parts.processes.descriptors
        self._copies = -1
        """The end of the socket into which copies are sent; -1 if there is no trial."""
        self._output: TrialOutput | None = None
        self._began = 0.0
        self._ages = Ages()

    def carry_out(self, command: TrialCommand) -> None:
        """Carry out a command of `trials`. If the system refuses it, the version is refused."""
        try:
            match command:
                case commands.BeginTrial():
                    self._begin(command.worker)
                case commands.OfferCopies():
                    self._offer(command.worker)
                case commands.CloseTrial():
                    self._end()
        except OSError as error:
            why = f"the system refused what a trial needs: {error.strerror}"
            self._parts.rollout.trials.give_up(why)

    def tick(self, now: float) -> None:
        """At a tick, let a trial end whose time is over."""
        trials = self._parts.rollout.trials
        if trials.trial is None or self._copies < 0:
            return
        # The silence begins again with each copy, and at each tick at which none waits.
        silence = ("silence", trials.trial.compared, trials.trial.is_ending)
        waits = trials.trial.is_ending or self._is_unread()
        watched = [(("age", 0, False), self._began), *([(silence, self._began)] if waits else [])]
        ages = self._ages.update(now, watched)
        limit = min(self._parts.config.timeout, LONGEST_SILENCE)
        trials.tick(ages["age", 0, False], ages.get(silence, 0.0), limit)

    def _begin(self, slot: int) -> None:
        """
        Open the socket and the pipes, and send the worker its ends.

        Raises:
            OSError: the system has no descriptors for them.
        """
        process = self._parts.processes.by_slot[slot]
        self._began = process.started = self._parts.system.now()
        self._ages.reset()
        sending, reading = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        theirs = [reading.detach()]
        self._copies = sending.detach()
        try:
            self._make_room(self._copies)
            if self._parts.output is None:
                self._output = TrialOutput(self._parts, process.generation)
                theirs += self._output.open()
            process.channel.send(BeginTrial(piped=len(theirs) > 1), theirs)
        finally:
            for each in theirs:
                self._descriptors.close(each)

    def _make_room(self, descriptor: int) -> None:
        end = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, descriptor)
        try:
            end.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, ROOM)
        except OSError:
            pass  # what does not fit is left out
        finally:
            end.detach()

    def _offer(self, slot: int) -> None:
        if self._copies >= 0:
            self._parts.processes.by_slot[slot].channel.send(OfferCopies(), (self._copies,))

    def _end(self) -> None:
        """Close our end. The workers close theirs when they find that nothing reads copies."""
        copies, self._copies = self._copies, -1
        if copies >= 0:
            self._descriptors.close(copies)
        output, self._output = self._output, None
        if output is not None:
            output.read_rest()

    def _is_unread(self) -> bool:
        """Return whether a copy waits that the worker has not read."""
        try:
            return ioctl(self._copies, TIOCOUTQ, bytes(4)) != bytes(4)
        except OSError:
            return False
