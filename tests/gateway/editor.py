"""An editor with a debugger, as far as a breakpoint needs it: the Debug Adapter Protocol."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

SECONDS = 20.0


class Editor:
    """A connection to a debugger port; a context manager that closes it."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self._file = self._socket.makefile("rb")
        self._seq = 0
        self._messages: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def attach(self, file: Path, *lines: int) -> None:
        """Begin a session with breakpoints in a file."""
        self.ask("initialize", adapterID="test", linesStartAt1=True, columnsStartAt1=True)
        attach = self.send("attach", justMyCode=True)
        self.wait_event("initialized")
        points = [{"line": line} for line in lines]
        self.ask("setBreakpoints", source={"path": str(file)}, breakpoints=points)
        self.ask("configurationDone")
        self.wait_answer(attach)

    def wait_stop(self) -> tuple[int, str, int]:
        """Wait until a thread stops; return the thread, the file and the line."""
        thread = self.wait_event("stopped")["body"]["threadId"]
        stack = self.ask("stackTrace", threadId=thread)["body"]["stackFrames"]
        return thread, stack[0]["source"]["path"], stack[0]["line"]

    def go_on(self, thread: int) -> None:
        self.ask("continue", threadId=thread)

    def ask(self, command: str, **arguments: object) -> dict[str, Any]:
        return self.wait_answer(self.send(command, **arguments))

    def send(self, command: str, **arguments: object) -> int:
        self._seq += 1
        message = {
            "seq": self._seq, "type": "request", "command": command, "arguments": arguments,
        }  # fmt: skip
        body = json.dumps(message).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        return self._seq

    def wait_answer(self, number: int) -> dict[str, Any]:
        answer = self._wait(lambda each: each.get("request_seq") == number)
        assert answer["success"], answer
        return answer

    def wait_event(self, name: str) -> dict[str, Any]:
        return self._wait(lambda each: each.get("event") == name)

    def _wait(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first message that fits, whether it came already or comes yet."""
        for message in self._messages:
            if fits(message):
                self._messages.remove(message)
                return message
        while not fits(message := self._read()):
            self._messages.append(message)
        return message

    def _read(self) -> dict[str, Any]:
        length = 0
        while line := self._file.readline().strip():
            length = int(line.partition(b":")[2])
        assert length, "the debugger closed the connection"
        message: dict[str, Any] = json.loads(self._file.read(length))
        return message
