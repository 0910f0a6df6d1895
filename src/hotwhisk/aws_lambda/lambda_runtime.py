"""Run a function of Lambda: start it, say how that went, and handle events until a signal comes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from queue import SimpleQueue

from hotwhisk.aws_lambda.function_server import FunctionServer
from hotwhisk.aws_lambda.invocation_loop import InvocationLoop
from hotwhisk.aws_lambda.log_provider import LogProvider
from hotwhisk.aws_lambda.runtime_api import RuntimeApi
from hotwhisk.errors import ServerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from hotwhisk.aws_lambda.lambda_settings import LambdaSettings

FAILED: Final = 1
BEFORE_SNAPSHOT_FAILED: Final = 64
AFTER_RESTORE_FAILED: Final = 65
"""Exit codes of the platform's contract."""


def run(settings: LambdaSettings, environ: Mapping[str, str]) -> int:
    """
    Handle events until a signal comes; return the exit code.

    Raises:
        StartError: the system refuses what a server needs.
        ServerError: the platform cannot be reached, or gives an answer that ends the runtime.
        UsageError: an option of the server that the environment sets is wrong.
    """
    server = FunctionServer.start(settings, environ)  # forked, so before any thread
    try:
        return LambdaRuntime(settings, server).run()
    finally:
        server.stop()


class LambdaRuntime:
    """One function, which ``server`` has or will have loaded."""

    def __init__(self, settings: LambdaSettings, server: FunctionServer) -> None:
        self._settings = settings
        self._server = server
        self._api = RuntimeApi(settings.api)
        self._endings: SimpleQueue[int | str] = SimpleQueue()
        """Each exit code, or each reason for a failure, with which the runtime has to end."""

    def run(self) -> int:
        """Handle events until a signal comes; return the exit code."""
        provider = self._provide_log()
        if failure := self._server.client().load(self._settings, self._folder(), provider):
            self._api.fail_start(failure)
            return FAILED
        if self._settings.has_snapshots and (code := self._pass_snapshot()):
            return code
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._endings.put(0))
        for work in (self._watch_server, *[self._handle_events] * self._settings.concurrency):
            _start(work)
        ending = self._endings.get()
        if isinstance(ending, str):
            sys.stderr.write(f"hotwhisk: {ending}\n")
            return FAILED
        return ending

    def _provide_log(self) -> str:
        """Provide the descriptor of the log; return the provider's name, empty without one."""
        if self._settings.log_descriptor < 0:
            return ""
        provider = LogProvider(self._settings.log_descriptor)
        _start(provider.run)
        return provider.name

    def _folder(self) -> str:
        """Return the folder of the function's code: the platform's, or else the present one."""
        root = self._settings.task_root
        return root if os.path.isdir(root) else os.getcwd()

    def _pass_snapshot(self) -> int:
        """Let the platform take a snapshot; return 0 in each copy of it, else the exit code."""
        function = self._server.client()
        if failure := function.run_hook("before_snapshot"):
            self._api.fail_start(failure, "Runtime.BeforeSnapshotError")
            return BEFORE_SNAPSHOT_FAILED
        self._api.wait_restore()
        if failure := function.run_hook("after_restore"):
            self._api.fail_restore(failure)
            return AFTER_RESTORE_FAILED
        return 0

    def _watch_server(self) -> None:
        self._endings.put(f"the server of the function ended ({self._server.wait_end()})")

    def _handle_events(self) -> None:
        function = self._server.client()
        loop = InvocationLoop(
            RuntimeApi(self._settings.api), function, restored=self._settings.has_snapshots
        )
        try:
            function.connect()
            loop.run()
        except (ServerError, OSError) as error:
            self._endings.put(str(error))
        except Exception as error:  # noqa: BLE001 - boundary: `run` would wait for this thread for ever
            sys.excepthook(*sys.exc_info())
            self._endings.put(f"no event can be taken any more: {error!r}")


def _start(work: Callable[[], object]) -> None:
    threading.Thread(target=work, daemon=True).start()
