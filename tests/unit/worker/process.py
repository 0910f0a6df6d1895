"""
A worker in a process of its own: loading changes a process, and some loads end it.

This module is run as a program too, once for many tests. It then forks a parent for each worker.
The parent is a child subreaper, as the supervisor is, because a template's workers come to it.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

from hotwhisk.action.signal_guard import guard_handlers
from hotwhisk.config.config import Config
from hotwhisk.ipc.channel import Channel
from hotwhisk.ipc.messages import FROM_TEMPLATE, FROM_WORKER, Assign, Load, Message
from hotwhisk.ipc.scoreboard import Scoreboard
from hotwhisk.system.features import PR_SET_CHILD_SUBREAPER
from hotwhisk.worker.connections import Place
from hotwhisk.worker.spill import make_file
from hotwhisk.worker.worker import Worker
from hotwhisk.worker.worker_options import optional_parts
from tests.support.wire import Response, ResponseReader, init_body, run_request

SLOT, LOWEST, CAPACITY = 3, 512, 16
LIMIT = 10_000
"""Milliseconds until a message that does not come fails the test."""


class End:
    """The supervisor's end of a channel, to a worker or a template."""

    def __init__(self, end: socket.socket) -> None:
        self.channel = Channel(end, frozenset(FROM_WORKER) | frozenset(FROM_TEMPLATE))
        self.descriptors: list[int] = []
        """The descriptors that came with the last message."""

    def send(self, message: Message, *descriptors: int) -> None:
        """Send a message."""
        self.channel.send(message, descriptors)

    def wait_message(self) -> Message:
        """Return the next message, when it has come."""
        poll = select.poll()
        poll.register(self.channel.fileno(), select.POLLIN)
        assert poll.poll(LIMIT), "no message came"
        received = self.channel.receive()
        assert received is not None
        message, self.descriptors = received
        return message

    def run(self, event: object, number: int = 0) -> Response:
        """Assign a connection that asks for a run; return the response."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname(), timeout=10)
            server, _ = listener.accept()
        with client, server:
            client.sendall(run_request(event))
            self.send(Assign([[number, 1, 0, 0]]), server.fileno())
            reader = ResponseReader()
            while (response := reader.next()) is None:
                reader.feed(client.recv(1 << 20))
            return response


class WorkerProcess(End):
    """A worker in a process of its own, and the supervisor's end of its channel."""

    def __init__(self, starter: Starter, folder: Path, settings: dict[str, Any]) -> None:
        ours, theirs = Channel.pair()
        super().__init__(ours)
        self._folder = folder
        pipes = [os.pipe() for _ in range(3)]
        self._read = [reading for reading, _ in pipes]
        writing = [writing for _, writing in pipes]
        with closing(theirs):
            starter.start(settings, [theirs.fileno(), *writing])
        for each in writing:
            os.close(each)

    def load(self, code: str, *, template: bool = False, main: str = "main") -> None:
        """Send the code of a posted version to be loaded."""
        body = init_body(code, main)
        file = make_file(len(body))
        os.pwrite(file, body, 0)
        folder = f"{self._folder}/1"
        self.send(Load(1, folder, 0, len(body), template=template), file)
        os.close(file)

    def load_file(self, path: Path) -> None:
        """Send the name of a file to be served where it lies."""
        self.send(Load(1, f"{self._folder}/1/files", path=str(path)))

    def load_kept(self, path: Path, spill: int, length: int) -> None:
        """Send the name of a file with the content that the first worker kept of it."""
        message = Load(1, f"{self._folder}/1/files", length=length, path=str(path))
        self.send(message, spill)

    def wait_end(self) -> tuple[int, str, str]:
        """Return the exit status and what the worker has printed, when all its children ended."""
        texts = []
        for descriptor in self._read:
            with open(descriptor) as file:
                texts.append(file.read())
        self._read.clear()
        status, out, err = texts
        return int(status), out, err

    def close(self) -> None:
        """Close the channel, which ends the worker, and wait for that."""
        self.channel.close()
        if self._read:
            self.wait_end()


class Starter:
    """
    A process with all imported that a worker needs; it forks the workers, as a
    supervisor does.
    """

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with closing(theirs):
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())], pass_fds=[theirs.fileno()]
            )

    def start(self, settings: dict[str, Any], descriptors: list[int]) -> None:
        """Start a worker: its channel; where its exit status, its stdout and its stderr go."""
        socket.send_fds(self._control, [json.dumps(settings).encode()], descriptors)

    def close(self) -> None:
        """End the process."""
        self._control.close()
        self._process.wait()


def be_starter(control: socket.socket) -> None:
    """Fork a parent for each worker that is asked for."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 4096, 4)
        if not data:
            return
        if not os.fork():
            control.close()
            be_parent(json.loads(data), *descriptors)
        for each in descriptors:
            os.close(each)


def be_parent(settings: dict[str, Any], end: int, status: int, out: int, err: int) -> NoReturn:
    """Fork a worker; report its exit status when it and all that it left have ended."""
    for descriptor, stream in ((out, 1), (err, 2)):
        os.dup2(descriptor, stream)
        os.close(descriptor)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    worker = os.fork()
    if not worker:
        os.close(status)
        be_worker(settings, end)
    os.close(end)
    found = -1
    while True:
        try:
            pid, ended = os.wait()
        except ChildProcessError:
            os.write(status, b"%d" % found)
            os._exit(0)
        if pid == worker:
            found = os.waitstatus_to_exitcode(ended)


def be_worker(settings: dict[str, Any], end: int) -> NoReturn:
    """Be a worker as the supervisor forks it: its own descriptors have high numbers."""
    high = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, LOWEST)
    os.close(end)
    scoreboard = Scoreboard(CAPACITY)
    for number in range(CAPACITY):
        scoreboard.begin_connection(number)
    guard_handlers()
    channel = Channel(socket.socket(fileno=high))
    config = Config(**settings)
    parts = optional_parts(config)
    Worker(channel, scoreboard, Place(SLOT, 0, LOWEST), config, parts).run()


if __name__ == "__main__":
    be_starter(socket.socket(fileno=int(sys.argv[1])))
