"""
The process from which every action server is forked: ``python -m`` this module.

Strategy. A fresh interpreter needs a tenth of a second until it serves, most of it for imports. So
one process imports all that a server needs, and forks. The gateway cannot be that process: it has
threads and other imports, and an action would find them. This process has one thread and runs no
code of an action.

It is also what ends the servers. It learns from the end of its channel that the gateway is gone,
however that ended. As child subreaper it adopts what a dead server leaves, and kills that too. The
kernel kills a server whose launcher died.

Other programs that run code of an action are started here too, so that the same holds for them.

The protocol is one packet each way, on a SOCK_SEQPACKET socket. The gateway sends a JSON object:
``folder`` and the fields of a `MemoryLimit`, ``group`` and ``data``; for a server its ``token`` and
the most ``workers`` that it may have, for another program its ``command``. The descriptors with it
are the ends for both output streams, and for a server the listener. The answer is
``{"pid": NUMBER}`` with a pidfd, or ``{"error": TEXT}``.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import Any, Final, NoReturn

from hotwhisk.config.config import read_config, with_port, with_tokens, without_streamer
from hotwhisk.config.option import Bounds
from hotwhisk.config.tokens import Tokens, digest
from hotwhisk.gateway.runtimes.memory_limits import MemoryLimit
from hotwhisk.server.server import serve
from hotwhisk.system.children import children
from hotwhisk.system.descriptors import close_others, of_libffi
from hotwhisk.system.features import SUBREAPER
from hotwhisk.system.system import setup_child

LONGEST: Final = 65_536
"""Most bytes of a packet."""

NAME: Final = "hotwhisk:serve"
_IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DESCRIPTORS: Final = 3
_FAILED: Final = 70


class LauncherProcess:
    """Forks servers for the gateway at the other end of ``channel``."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._pidfds: dict[int, int] = {}
        """Children that live, servers and orphans: each pidfd with the process id."""
        self._poll = select.poll()
        self._poll.register(channel.fileno(), select.POLLIN)

    def run(self) -> None:
        """Fork servers until the gateway has gone; then end all of them."""
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor != self._channel.fileno():
                    self._ended(descriptor)
                elif not self._answer():
                    self._end_all()
                    return

    def _answer(self) -> bool:
        """Handle one packet; return False if there is none, because the gateway has gone."""
        try:
            packet, descriptors, flags, _ = socket.recv_fds(self._channel, LONGEST, _DESCRIPTORS)
        except ConnectionError:
            return False
        if not packet:
            return False
        answer: dict[str, object]
        given: list[int]
        try:
            if flags & socket.MSG_CTRUNC:  # no descriptor was free for one of them
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            pid, pidfd = self._fork(json.loads(packet), descriptors)
        except OSError as error:
            answer, given = {"error": error.strerror or str(error)}, []
        else:
            answer, given = {"pid": pid}, [pidfd]
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        try:
            socket.send_fds(self._channel, [json.dumps(answer).encode()], given)
        except ConnectionError:
            return False
        return True

    def _fork(self, wanted: dict[str, Any], descriptors: list[int]) -> tuple[int, int]:
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            self._become_child(wanted, descriptors, parent)
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        self._watch(pid, pidfd)
        return pid, pidfd

    def _become_child(
        self, wanted: dict[str, Any], descriptors: list[int], parent: int
    ) -> NoReturn:
        try:
            # Until the server has its handlers, signals wait.
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            stdout, stderr, *listeners = descriptors
            if setup_child(NAME, parent):
                os.dup2(stdout, 1)
                os.dup2(stderr, 2)
                close_others([*of_libffi(), *listeners])
                MemoryLimit(wanted["group"], wanted["data"]).enter()
                if "command" in wanted:
                    _execute(wanted["command"], wanted["folder"])
                self._serve(socket.socket(fileno=listeners[0]), wanted)
        except BaseException:  # noqa: BLE001 - boundary: the child of a fork returns nowhere
            sys.excepthook(*sys.exc_info())
        os._exit(_FAILED)

    def _serve(self, listener: socket.socket, wanted: dict[str, Any]) -> NoReturn:
        listener.setblocking(False)
        workers = str(Bounds(1, wanted["workers"]))
        arguments = ["--openwhisk", "--run-dir", wanted["folder"], "--workers", workers]
        host, port = listener.getsockname()
        config = without_streamer(read_config(arguments, os.environ, bound=(host, port)))
        token = digest(wanted["token"])
        status = serve(with_tokens(with_port(config, port), Tokens(token, token)), listener)
        os._exit(status)

    def _watch(self, pid: int, pidfd: int) -> None:
        self._pidfds[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)

    def _ended(self, pidfd: int) -> None:
        """Reap a child that has ended, and kill what it left: its children are ours now."""
        self._poll.unregister(pidfd)
        os.close(pidfd)
        os.waitpid(self._pidfds.pop(pidfd), 0)
        known = set(self._pidfds.values())
        for pid in children():
            if pid not in known:
                with suppress(OSError):  # no descriptor is free: the next end finds it again
                    os.kill(pid, signal.SIGKILL)
                    self._watch(pid, os.pidfd_open(pid))

    def _end_all(self) -> None:
        for pidfd in self._pidfds:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        self._poll.unregister(self._channel.fileno())
        while self._pidfds:
            for pidfd, _ in self._poll.poll():
                self._ended(pidfd)


def _execute(command: list[str], folder: str) -> NoReturn:
    """Become another program, with the signals of a fresh process."""
    os.chdir(folder)
    for number in (*_IGNORED, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execv(command[0], command)  # noqa: S606 - no shell shall change the words


def main(descriptor: str) -> None:
    """Serve the gateway at the other end of an inherited socket."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)  # the gateway decides when all ends
    SUBREAPER.probe()
    gc.collect()
    gc.freeze()
    LauncherProcess(socket.socket(fileno=int(descriptor))).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
