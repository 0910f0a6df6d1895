"""
The place where an action runs, as the invoker sees it.

A runtime has an address. It can be started, frozen, thawed and thrown away, and its log can be
read.
"""

from __future__ import annotations

import os
import select
import subprocess
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Self

from hotwhisk.errors import StartError
from hotwhisk.platform.action import Action
from hotwhisk.platform.logs import LogStream


class Runtime(ABC):
    """
    A container of the platform, as a context manager.

    ``pinned`` is the action with which it was initialised, or None.
    """

    can_restart = True
    lives_on = False
    """
    Whether the server goes on when the action changes or dies.

    Then a changed action is posted to it. It ends the log of an action that died.
    """
    listens = False
    """Whether its port is open once it is started, so that a refused connection means its end."""
    log_lag = 0.0
    """Seconds by which a line of the log may come later than the answer that followed it."""

    def __init__(self) -> None:
        self.url = ""
        self.token = ""
        self.logs: LogStream | None = None
        self.started = False
        self.paused = False
        self.discarded = False
        """Whether it takes no further call, and is to be stopped after those that it runs."""
        self.pinned: Action | None = None
        self.lock = threading.RLock()

    def __enter__(self) -> Self:
        if not self.started:
            self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the runtime, uninitialised. It need not listen already."""
        self._start()
        self.started, self.paused, self.pinned = True, False, None

    def stop(self) -> None:
        """Remove the runtime at once and without a warning, as the platform does."""
        if self.started:
            self._stop()
            self.started, self.paused, self.pinned = False, False, None

    def discard(self) -> None:
        """
        Remove the runtime after a call that failed.

        One that runs several calls at a time may become `discarded` instead, until they end.
        """
        self.stop()

    def pause(self) -> None:
        """Freeze the runtime, as the platform does after ten seconds without a call."""
        if not self.paused:
            self._pause()
            self.paused = True

    def resume(self) -> None:
        """Thaw the runtime."""
        if self.paused:
            self._resume()
            self.paused = False

    def out_of_memory(self) -> bool:
        """Return whether the runtime was killed because its memory was exhausted."""
        return False

    def ended(self) -> str:
        """Return how it ended by itself, such as "status 3"; empty if it runs or is unknown."""
        return ""

    @abstractmethod
    def _start(self) -> None: ...

    @abstractmethod
    def _stop(self) -> None: ...

    @abstractmethod
    def _pause(self) -> None: ...

    @abstractmethod
    def _resume(self) -> None: ...


class UrlRuntime(Runtime):
    """A server that the user started. Its log cannot be read, and it cannot be stopped."""

    can_restart = False

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def _start(self) -> None:
        pass

    def _stop(self) -> None:
        pass

    def _pause(self) -> None:
        pass

    def _resume(self) -> None:
        pass


def is_readable(descriptor: int, seconds: float | None = None) -> bool:
    """
    Return whether a descriptor can be read within ``seconds``; wait without end for None.

    ``select.select`` takes no descriptor above 1023, which a gateway with many connections has.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if seconds is None else 1000 * seconds))


def spawn(
    command: Sequence[str],
    folder: str | None = None,
    *,
    stdin: int = subprocess.DEVNULL,
    environ: Mapping[str, str] | None = None,
) -> tuple[subprocess.Popen[bytes], LogStream]:
    """Start a command in a new session, and read both its streams from now on."""
    ends, held = os.pipe(), []
    try:
        held = [*ends, *os.pipe()]
        process = subprocess.Popen(
            list(command),
            stdin=stdin,
            stdout=held[1],
            stderr=held[3],
            cwd=folder,
            env=environ,
            start_new_session=True,
        )
    except OSError as error:
        for end in held or ends:
            os.close(end)
        raise StartError(f"{command[0]} cannot be started: {error.strerror}") from None
    os.close(held[1])
    os.close(held[3])
    return process, LogStream(held[0], held[2])
