"""
Read the log of a container line by line, and cut off the part of one activation.

A thread reads both streams all the time, as the daemon of a container engine does, so that a
runtime never blocks on a full pipe. Lines stay in a queue until an activation takes them, so lines
after the second sentinel belong to the next activation.
"""

from __future__ import annotations

import os
import selectors
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from hotwhisk.platform import texts

IDLE_SECONDS: Final = 2.0
_SECONDS_PER_MB: Final = 2.0
_LEAST_MB: Final = 5
_MB: Final = 1 << 20
_LONGEST: Final = 16 * 1024  # an engine cuts a line that is longer
_LINE_COST: Final = 200  # bytes of an object for a line, beside its text


class LogRule(Enum):
    """Says what reads the log, and how an activation's part of it ends."""

    DOCKER = "docker"
    """
    Two lines contain the sentinel.

    If they are missing, it is an error, and the container is removed.
    """
    KUBERNETES = "kubernetes"
    """Two lines are the sentinel. If they are missing, there is no error. All lines are stdout."""
    NONE = "none"
    """Collected elsewhere, as with several activations at a time."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """
    One line of a stream, without its newline, and when it was read.

    If it is ``lost``, it stands for all lines that were dropped because there were too many.
    """

    stream: str
    text: str
    seconds: float
    lost: bool = False

    def shown(self, *, keep_spaces: bool = False) -> str:
        """
        Return the line as an activation record holds it.

        The platform removes spaces at both ends. With ``keep_spaces``, the line stays as it is.
        """
        moment = datetime.fromtimestamp(self.seconds, UTC)
        stamp = f"{moment:%Y-%m-%dT%H:%M:%S.%f}000Z"
        return f"{stamp:<30} {self.stream}: {self.text if keep_spaces else self.text.strip()}"


def without_spaces(shown: str) -> str:
    """Return a line of a record that kept its spaces as the platform has it."""
    head, colon, text = shown.partition(": ")
    return f"{head}{colon}{text.strip()}"


def stream_and_text(shown: str) -> tuple[str, str]:
    """Return the name of the stream and the text of a line of a record."""
    head, _, text = shown.partition(": ")
    return head.rpartition(" ")[2], text


@dataclass(frozen=True, slots=True)
class Collected:
    """The log of one activation. If it is not ``complete``, the container is thrown away."""

    lines: tuple[LogLine, ...]
    complete: bool = True

    def shown(self, *, keep_spaces: bool = False) -> list[str]:
        """Return the lines as an activation record holds them."""
        return [line.shown(keep_spaces=keep_spaces) for line in self.lines]


class LogStream:
    """
    Reads the two pipes of a runtime in a thread, until both have ended.

    ``lines_read`` and ``sentinels_read`` count by stream all that was read since the start, taken
    or not. A sentinel counts only if it is a line of its own.

    If the lines that wait take more than ``most`` bytes, all that follows is dropped until they are
    taken. A line that is ``lost`` then stands at their end.
    """

    def __init__(self, stdout: int, stderr: int, *, most: int | None = None) -> None:
        """Take the reading ends; they are closed at the end."""
        self._most = most
        self._waiting_bytes = 0
        self._dropping = False
        self._pipes = {stdout: "stdout", stderr: "stderr"}
        self._rest = dict.fromkeys(self._pipes, b"")
        self._lines: deque[LogLine] = deque()
        self.lines_read: Counter[str] = Counter()
        self.sentinels_read: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._sweeps = 0
        self._ended = False
        self._bell, self._rope = os.pipe()
        for end in (stdout, stderr, self._bell):
            os.set_blocking(end, False)
        self._thread = threading.Thread(target=self._read, name="invoker logs", daemon=True)
        self._thread.start()

    def next_line(self, timeout: float) -> LogLine | None:
        """Wait for a line; return None if no line came in time or the streams have ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._ended, timeout)
            line = self._lines.popleft() if self._lines else None
            if not self._lines:
                self._all_taken()
            return line

    def settle(self) -> None:
        """Wait until all lines written by now are in the queue."""
        with self._changed:
            wanted = self._sweeps + 2  # the present sweep may have passed a pipe already
            while self._sweeps < wanted and not self._ended:
                os.write(self._rope, b".")
                self._wait_sweep(self._sweeps)

    def _wait_sweep(self, seen: int) -> None:
        self._changed.wait_for(lambda: self._sweeps > seen or self._ended)

    def drain(self) -> list[LogLine]:
        """Take all lines written by now."""
        self.settle()
        with self._changed:
            lines = list(self._lines)
            self._lines.clear()
            self._all_taken()
            return lines

    def _all_taken(self) -> None:
        self._waiting_bytes, self._dropping = 0, False

    def last_line(self, lag: float) -> str:
        """Return the last line that there is, or that comes within ``lag`` seconds of another."""
        text = ""
        while (line := self.next_line(lag)) is not None:
            text = line.text
        return text

    def wait_end(self, timeout: float) -> bool:
        """
        Return whether both streams ended in time.

        Then every process that had them open has ended.
        """
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _read(self) -> None:
        selector = selectors.DefaultSelector()
        for end in (*self._pipes, self._bell):
            selector.register(end, selectors.EVENT_READ)
        open_pipes = set(self._pipes)
        while open_pipes:
            for key, _ in selector.select():
                if key.fd == self._bell:
                    os.read(self._bell, 4096)
                elif not self._take(key.fd):
                    selector.unregister(key.fd)
                    open_pipes.discard(key.fd)
            with self._changed:
                self._sweeps += 1
                self._changed.notify_all()
        selector.close()
        with self._changed:
            for pipe, rest in self._rest.items():
                if rest:
                    self._keep(pipe, rest)
            self._ended = True
            self._changed.notify_all()
            for end in (*self._pipes, self._bell, self._rope):
                os.close(end)

    def _take(self, pipe: int) -> bool:
        """Read a pipe until it has nothing more; return False once it has ended."""
        while True:
            try:
                data = os.read(pipe, 1 << 16)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            if self._dropping:
                self._rest[pipe] = b""
                continue
            *lines, rest = (self._rest[pipe] + data).split(b"\n")
            while len(rest) > _LONGEST:  # at exactly this length the newline may still come
                lines.append(rest[:_LONGEST])
                rest = rest[_LONGEST:]
            self._rest[pipe] = rest
            with self._changed:
                for line in lines:
                    self._keep(pipe, line)

    def _keep(self, pipe: int, line: bytes) -> None:
        if self._dropping:
            return
        for start in range(0, len(line) or 1, _LONGEST):
            text = line[start : start + _LONGEST].decode("utf-8", "replace")
            name = self._pipes[pipe]
            self.lines_read[name] += 1
            self.sentinels_read[name] += text == texts.SENTINEL
            self._lines.append(LogLine(name, text, time.time()))
        self._waiting_bytes += len(line) + _LINE_COST
        if self._most is not None and self._waiting_bytes > self._most:
            self._dropping = True
            self._lines.append(LogLine("stderr", "", time.time(), lost=True))
        self._changed.notify_all()


def collect(
    stream: LogStream, rule: LogRule, limit_mb: int, *, wait: bool, failed: bool, lag: float = 0.0
) -> Collected:
    """
    Cut off one activation's log.

    ``wait`` says whether to wait for the sentinels. ``failed`` says whether the activation ended in
    a developer error; then the log says that data might be missing. If the log comes up to ``lag``
    seconds late, it is waited for that long in any case, or its content would be random.
    """
    if rule is LogRule.NONE or limit_mb == 0:
        stream.drain()
        return Collected(())
    taken, complete = _until_sentinels(stream, rule, limit_mb, lag, wait=wait)
    if failed:
        taken.append(LogLine("stderr", texts.LOGS_AFTER_ERROR, time.time()))
    if rule is LogRule.KUBERNETES:
        taken = [LogLine("stdout", line.text, line.seconds) for line in taken]
    return Collected(tuple(taken), complete)


def _until_sentinels(
    stream: LogStream, rule: LogRule, limit_mb: int, lag: float, *, wait: bool
) -> tuple[list[LogLine], bool]:
    end = time.monotonic() + max(limit_mb, _LEAST_MB) * _SECONDS_PER_MB
    if not wait:
        stream.settle()
    taken: list[LogLine] = []
    found = size = 0
    while found < 2:
        pause = min(IDLE_SECONDS, max(0.0, end - time.monotonic())) if wait else lag
        line = stream.next_line(pause)
        if line is None:
            lost = wait and rule is LogRule.DOCKER
            if lost:
                taken.append(LogLine("stderr", texts.LOGS_INCOMPLETE, time.time()))
            return taken, not lost
        if _is_sentinel(line, rule):
            found += 1
            continue
        size += len(line.text.encode()) + 1
        if line.lost or size > limit_mb * _MB:
            text = texts.logs_truncated(limit_mb * _MB)
            return [*taken, LogLine("stderr", text, time.time())], False
        taken.append(line)
    return taken, True


def _is_sentinel(line: LogLine, rule: LogRule) -> bool:
    if rule is LogRule.KUBERNETES:
        return line.text == texts.SENTINEL
    return texts.SENTINEL in line.text
