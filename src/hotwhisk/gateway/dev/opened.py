"""Learn from the workers of actions which files they open."""

from __future__ import annotations

import json
import os
import threading


class OpenedFiles:
    """
    The files that each action has opened for reading and never for writing.

    A file that an action writes is its output, whose change must not replace it. Workers write to a
    named pipe before they open a file. So once an action has answered, the pipe says what was
    opened for that.
    """

    def __init__(self, pipe: str) -> None:
        """Make the pipe at this path."""
        self.pipe = pipe
        self._lock = threading.Lock()
        self._read: dict[str, set[str]] = {}
        self._written: set[str] = set()
        self._rest = b""
        if os.path.lexists(pipe):
            os.unlink(pipe)
        os.mkfifo(pipe, 0o600)
        # It is also open for writing, so that it does not end with the last worker.
        self._end = os.open(pipe, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def take(self) -> bool:
        """Take the reports that there are; return whether there was one. Any thread may call it."""
        with self._lock:
            data = self._rest
            try:
                while chunk := os.read(self._end, 65536):
                    data += chunk
            except BlockingIOError:
                pass
            *lines, self._rest = data.split(b"\n")
            for line in lines:
                self._note(line)
        return bool(lines)

    def of(self, action: str) -> list[str]:
        """Return the paths of an action."""
        with self._lock:
            return sorted(self._read.get(action, set()) - self._written)

    def _note(self, line: bytes) -> None:
        try:
            report = json.loads(line)
            action, path, written = str(report["action"]), str(report["path"]), report["written"]
        except (ValueError, TypeError, KeyError):
            return  # code of an action can write here too
        if written:
            self._written.add(path)
        else:
            self._read.setdefault(action, set()).add(path)
