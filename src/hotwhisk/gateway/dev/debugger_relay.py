"""
Serve one debugger port that outlives every version of an action.

An editor attaches to the port once. Each worker that loads a version tells the relay the port at
which debugpy listens in it, and the relay passes messages between the two. When the next version is
loaded, its worker takes the place of the former one. The relay tells it what the editor had said to
prepare the session, such as its breakpoints, and the editor notices nothing.

The numbers of messages differ on both sides, so the relay translates the number in each answer.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection
from typing import Final

from hotwhisk.errors import StartError
from hotwhisk.gateway.dev.dap import DapChannel, DapMessage
from hotwhisk.gateway.dev.debuggee import ATTACHED

_HOST: Final = "127.0.0.1"
_REPEATED: Final = (
    "initialize", "attach", "launch", "setBreakpoints", "setFunctionBreakpoints",
    "setExceptionBreakpoints", "configurationDone",
)  # fmt: skip
"""The requests that prepare a session, in the order in which a debuggee must get them."""
_LAST: Final = "configurationDone"
_LATE: Final = ("attach", "launch")
"""The requests that are answered only after the last one."""
_BEGINS: Final = ("initialized", "process")
_ENDS: Final = ("terminated", "exited")
_ANSWER_SECONDS: Final = 5.0


class DebuggerRelay:
    """The debugger port of ``hotwhisk dev --debug``. All its threads end with the process."""

    def __init__(self) -> None:
        self.port = 0
        self.workers_port = 0
        self._changed = threading.Condition(threading.RLock())
        self._editor: DapChannel | None = None
        self._prepared: dict[tuple[str, str], DapMessage] = {}
        """What the editor said to prepare the session: the last request of each kind and file."""
        self._held: list[DapMessage] = []
        """What the editor sent while there was no worker."""
        self._worker = 0
        """The port of the newest worker, or 0."""
        self._debuggee: DapChannel | None = None
        self._repeating = False
        """Whether a new debuggee is told what the editor had said; then the editor waits."""
        self._asked: dict[tuple[DapChannel, int], int | None] = {}
        """By debuggee and number, the editor's number of a request; None for one of our own."""

    def open(self, port: int) -> None:
        """
        Listen for an editor on ``port``, and for workers on `workers_port`.

        Raises:
            StartError: the port is taken.
        """
        try:
            editors = socket.create_server((_HOST, port))
        except OSError as error:
            raise StartError(
                f"--debug: port {port} cannot be used: {error.strerror}; give --debug-port PORT"
            ) from None
        workers = socket.create_server((_HOST, 0))
        self.port, self.workers_port = editors.getsockname()[1], workers.getsockname()[1]
        _in_thread(_accept, editors, self._serve_editor)
        _in_thread(_accept, workers, self._serve_worker)

    def _serve_editor(self, connection: socket.socket) -> None:
        channel = DapChannel(connection)
        with self._changed:
            if self._editor is not None:
                self._editor.close()
            self._leave()
            self._editor = channel
        while (message := channel.read()) is not None:
            self._from_editor(channel, message)
        with self._changed:
            if self._editor is channel:
                self._leave()
        channel.close()

    def _leave(self) -> None:
        """Have the action run on without an editor."""
        self._editor, self._prepared, self._held = None, {}, []
        self._let_go(self._debuggee)
        self._debuggee = None

    def _from_editor(self, channel: DapChannel, message: DapMessage) -> None:
        command = message.get("command", "")
        with self._changed:
            if self._editor is not channel:
                return
            if command == "disconnect":
                channel.write(_answer(message))
                self._leave()
                return
            if command in _REPEATED:
                path = message.get("arguments", {}).get("source", {}).get("path", "")
                self._prepared[command, path] = message
            if self._debuggee is None and self._worker and not self._repeating:
                self._debuggee = self._connect(self._worker)
            if self._debuggee is None or self._repeating:
                self._held.append(message)
            else:
                self._ask(self._debuggee, message, message["seq"])

    def _serve_worker(self, connection: socket.socket) -> None:
        try:
            port = int(connection.makefile("rb").readline())
        except (OSError, ValueError):  # not a worker
            connection.close()
            return
        with self._changed:
            self._worker = port
            attached = any(command == _LAST for command, _ in self._prepared)
            connection.sendall(ATTACHED if attached else b"0")
            self._take_over(port, attached=attached)
        try:
            connection.recv(1)  # until it ends
        except OSError:
            pass
        with self._changed:
            if self._worker == port:
                self._worker = 0
        connection.close()

    def _take_over(self, port: int, *, attached: bool) -> None:
        """Put a new worker in the place of the former one, prepared as the editor wants it."""
        former, self._debuggee = self._debuggee, None
        if former is not None:
            self._refuse_asked(former)
            self._let_go(former)
        channel = self._connect(port) if attached or self._held else None
        if channel is None or self._editor is None:
            return
        self._debuggee = channel
        if attached:
            body = {"threadId": 1, "allThreadsContinued": True}  # where the former one stopped
            self._editor.write({"type": "event", "event": "continued", "body": body})
            self._repeat_all(channel)
        for message in self._held:
            self._ask(channel, message, message["seq"])
        self._held = []

    def _repeat_all(self, channel: DapChannel) -> None:
        """Tell a new debuggee what the editor had said to prepare the session."""
        self._repeating = True
        for command in _REPEATED:
            for (name, _), message in list(self._prepared.items()):
                if name == command:
                    self._repeat(channel, message)
        self._repeating = False

    def _connect(self, port: int) -> DapChannel | None:
        try:
            channel = DapChannel(socket.create_connection((_HOST, port)))
        except OSError:  # the worker has ended
            return None
        _in_thread(self._read_debuggee, channel)
        return channel

    def _read_debuggee(self, channel: DapChannel) -> None:
        while (message := channel.read()) is not None:
            self._from_debuggee(channel, message)
        with self._changed:
            self._refuse_asked(channel)
            if self._debuggee is channel:
                self._debuggee = None
        channel.close()

    def _from_debuggee(self, channel: DapChannel, message: DapMessage) -> None:
        with self._changed:
            if message.get("type") == "response":
                number = self._asked.pop((channel, message["request_seq"]), None)
                self._changed.notify_all()
                if number is None:
                    return
                message = {**message, "request_seq": number}
            elif channel is not self._debuggee or message.get("event") in self._own_events():
                return
            if self._editor is not None:
                self._editor.write(message)

    def _own_events(self) -> Collection[str]:
        """Return the events that are not for the editor."""
        return (*_ENDS, *_BEGINS) if self._repeating else _ENDS

    def _ask(self, channel: DapChannel, message: DapMessage, editors: int | None) -> int:
        number = channel.write(message)
        self._asked[channel, number] = editors
        return number

    def _repeat(self, channel: DapChannel, message: DapMessage) -> None:
        """Send a request of the editor again, and wait for the answer, which is not for it."""
        number = self._ask(channel, message, None)
        if message["command"] not in _LATE:
            self._changed.wait_for(lambda: (channel, number) not in self._asked, _ANSWER_SECONDS)

    def _refuse_asked(self, channel: DapChannel) -> None:
        """Answer what the editor has asked a debuggee that is gone."""
        for key in [each for each in self._asked if each[0] is channel]:
            number = self._asked.pop(key)
            if number is not None and self._editor is not None:
                request = {"seq": number, "command": ""}
                self._editor.write(_answer(request, "the version was replaced"))
        self._changed.notify_all()

    def _let_go(self, channel: DapChannel | None) -> None:
        """Have a worker run on without a debugger."""
        if channel is not None:
            arguments = {"terminateDebuggee": False}
            request = {"type": "request", "command": "disconnect", "arguments": arguments}
            self._ask(channel, request, None)


def _in_thread(work: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, name="debugger", daemon=True).start()


def _accept(listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    while True:
        connection, _ = listener.accept()
        _in_thread(serve, connection)


def _answer(request: DapMessage, problem: str = "") -> DapMessage:
    answer = {
        "type": "response",
        "request_seq": request["seq"],
        "command": request["command"],
        "success": not problem,
    }
    return {**answer, "message": problem} if problem else answer
