"""
The server that has the function loaded: an ordinary hotwhisk server, in a child process.

It is forked before any thread is started, so that it has one thread and the imports of this
process. The kernel ends it with this process. It listens on loopback with a token, so that other
programs of the machine can neither call the function nor post code.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import sys
import time

from hotwhisk.aws_lambda import function  # noqa: F401  # imported before the fork, for workers
from hotwhisk.aws_lambda.function_client import FunctionClient
from hotwhisk.config.config import read_config, with_port, with_tokens
from hotwhisk.config.option import Address
from hotwhisk.config.tokens import Tokens, digest
from hotwhisk.errors import StartError
from hotwhisk.server.listener import bound_address, open_listener
from hotwhisk.server.server import serve
from hotwhisk.server.server_log import ServerLog
from hotwhisk.supervisor.json_lines import timestamp
from hotwhisk.supervisor.log_events import LogEvent
from hotwhisk.system.system import setup_child

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Mapping
    from typing import Final, NoReturn

    from hotwhisk.aws_lambda.lambda_settings import LambdaSettings
    from hotwhisk.config.config import Config

NAME: Final = "hotwhisk:serve"
LOOPBACK: Final = "127.0.0.1"
END_SECONDS: Final = 2.0
"""How long the server may take to end. The platform kills all processes at about that time."""

_QUIET: Final = (LogEvent.READY, LogEvent.CURRENT, LogEvent.STOPPING)
"""What is no news in a function's log."""

_OPTIONS: Final = (
    "--timeout", "none",  # each event has a deadline
    "--init-timeout", "900",  # the platform ends a start that takes too long
    "--drain-timeout", "1",
    "--log-format", "text",  # the platform wants its own form of JSON
    "--no-openwhisk",
)  # fmt: skip
_VARIABLES: Final = ("HOTWHISK_RUN_DIR", "HOTWHISK_FASTER_JSON")
"""
What the environment may set.

Other options are not for a function: with --fresh, for one, none of its globals would live until
the next event.
"""
_FAILED: Final = 70


class FunctionServer:
    """The child process ``pid``, which listens at ``address``."""

    def __init__(self, pid: int, address: Address, token: str) -> None:
        self._pid = pid
        self._address = address
        self._token = token

    @classmethod
    def start(cls, settings: LambdaSettings, environ: Mapping[str, str]) -> FunctionServer:
        """
        Start the server. It has no function yet.

        Raises:
            StartError: the system refuses a port or a process.
            UsageError: an option of the server that the environment sets is wrong.
        """
        listener = open_listener(LOOPBACK, 0)
        address, token = bound_address(listener), secrets.token_urlsafe(32)
        options = ["--workers", str(settings.concurrency), *_OPTIONS]
        taken = {name: environ[name] for name in _VARIABLES if name in environ}
        config = with_port(read_config(options, taken, bound=address), address[1])
        config = with_tokens(config, Tokens(digest(token), digest(token)))
        log = FunctionServerLog(config, json_log=settings.json_log)
        parent = os.getpid()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if not pid:
                _become_server(config, listener, parent, log)
        except OSError as error:
            raise StartError(f"no process can be started: {error.strerror}") from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        listener.close()
        return cls(pid, Address(*address), token)

    def client(self) -> FunctionClient:
        """Return a client with a connection of its own."""
        return FunctionClient(self._address, self._token)

    def wait_end(self) -> str:
        """Wait until the server has ended; return how it ended."""
        _, status = os.waitpid(self._pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return f"signal {-code}" if code < 0 else f"exit status {code}"

    def stop(self) -> None:
        """Have the server end, after the functions that the function has given to `atexit`."""
        try:
            pidfd = os.pidfd_open(self._pid)
        except ProcessLookupError:  # it has ended, and was waited for
            return
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(1000 * END_SECONDS)


def _become_server(
    config: Config, listener: _socket.socket, parent: int, log: ServerLog
) -> NoReturn:
    try:
        if setup_child(NAME, parent):
            os._exit(serve(config, listener, log=log))
    except BaseException:  # noqa: BLE001 - boundary: the child of a fork returns nowhere
        sys.excepthook(*sys.exc_info())
    os._exit(_FAILED)


class FunctionServerLog(ServerLog):
    """Tells only what is news in a function's log, as text or as the platform's JSON."""

    def __init__(self, config: Config, *, json_log: bool) -> None:
        super().__init__(config)
        self._json_log = json_log

    def __call__(self, text: str, event: LogEvent) -> None:
        """Write a line on stderr."""
        if event not in _QUIET:
            super().__call__(text, event)

    def line(self, text: str, event: LogEvent) -> str:
        """Return the line, with the platform's names if it is JSON."""
        if not self._json_log:
            return super().line(text, event)
        fields = {"timestamp": timestamp(time.time()), "level": event.level, "message": text}
        return json.dumps(fields) + "\n"
