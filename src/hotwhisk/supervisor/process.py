"""One worker's process, as the supervisor sees it."""

from __future__ import annotations

import _socket
from collections import deque

from hotwhisk.ipc.channel import Channel
from hotwhisk.ipc.messages import Message, Ping
from hotwhisk.record import Record
from hotwhisk.system.children import ExitStatus


class Process:
    """
    A worker process, or a template. Until the process starts it has no ``pid``, but it has a
    channel, where its messages wait. ``silent`` says that a ping is unanswered. ``inbox`` holds its
    messages that were received and not handled yet.
    """

    def __init__(self, slot: int, channel: Channel, started: float) -> None:
        self.slot = slot
        self.pid = 0
        self.pidfd = -1
        self.channel = channel
        self.pending_fork: PendingFork | None = None
        """The data for its fork; None after the fork."""
        self.when_needed = False
        """Whether it is forked only when a message waits for it."""
        self.template: Process | None = None
        """The template that was told to fork it and has not reported its process id yet."""
        self.name = f"hotwhisk:{slot}"
        """Its name in ``ps``."""
        self.started = started
        """The time of its fork, or of its order to load."""
        self.generation = 0
        self.ending: ExitStatus | None = None
        self.exit_unhandled = False
        """Whether it is dead, its last messages are read, and its exit is still to be handled."""
        self.silent = False
        self.asked = started
        """The time of the last ping."""
        self.inbox: deque[Message] = deque()
        self.killed_for_protocol_error = False
        """Whether it is killed for a wrong message; further ones are ignored."""
        self.unreachable = False
        """Whether its end of the channel is closed. As a rule it exits then."""
        self.cancelled = False
        """Whether it was killed before its process id was known."""

    def ping(self, now: float) -> None:
        """Send a ping; until it is answered the worker is ``silent``."""
        self.silent, self.asked = True, now
        self.channel.send(Ping())

    @property
    def pending(self) -> bool:
        """Return whether its process id is not known yet."""
        return self.pending_fork is not None or self.template is not None


class PendingFork(Record):
    """
    What a fork needs. ``end`` is the worker's end of its channel, None until the system can make
    one. ``recalls`` is how often its slot had been recalled when the channel was made.
    """

    recalls: int
    end: _socket.socket | None = None
