"""
Serve an action for a test on a real server, and call it as the platform does.

Each action has a process ``hotwhisk serve --openwhisk`` of its own on a port of 127.0.0.1, the same
that ``hotwhisk up`` starts. It is called by `hotwhisk.platform`, the model of the platform's
invoker. So the test sees statuses, texts and logs as ``wsk activation get`` would show them.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any, Final, Self

from hotwhisk.artifact.manifest import action_name
from hotwhisk.cli.code import read_code
from hotwhisk.config.option import PREFIX
from hotwhisk.errors import StartError, UsageError, VersionError
from hotwhisk.platform import Action, Invoker, Limits
from hotwhisk.platform.action_server import ActionServer, Launch
from hotwhisk.platform.texts import LOGS_AFTER_ERROR

PROGRAM: Final = (sys.executable, "-m", "hotwhisk.testing.run_command")
STOP_SECONDS: Final = 10.0
"""How long a server may take for its stop, before it is killed."""


@dataclass(frozen=True, slots=True)
class Activation:
    """What came of one call of a served action."""

    record: Mapping[str, object]
    """All of it, in the form in which ``wsk activation get`` shows an activation."""

    @property
    def status(self) -> str:
        """
        How it ended, in the platform's words.

        They are "success", "application error" (the handler raised an exception or returned a key
        ``error``), "action developer error" (no valid answer: it did not load, was too late, or
        left its process) and "whisk internal error".
        """
        return str(self._response["status"])

    @property
    def result(self) -> object:
        """What the caller gets: the handler's result, or an object with the one key ``error``."""
        return self._response["result"]

    @property
    def error(self) -> object:
        """What is under the key ``error`` of the result, or None after a success."""
        return None if self.status == "success" else self._response["result"]["error"]

    @property
    def logs(self) -> list[str]:
        """The lines that the action wrote, of both streams, without times and streams."""
        lines = self.record["logs"]
        assert isinstance(lines, list)
        return [line.partition(": ")[2] for line in lines]

    @property
    def _response(self) -> Mapping[str, Any]:
        response = self.record["response"]
        assert isinstance(response, dict)
        return response

    def __repr__(self) -> str:
        return f"<Activation: {self.status}, {self.result!r}>"


class ServedAction:
    """An action on a server of its own. A test gets it from the fixture ``serve_action``."""

    def __init__(self, serve: ServeAction, source: Path, action: Action) -> None:
        self._serve = serve
        self._source = source
        self._action = action
        self._server = ActionServer(serve.launch())
        self._invoker = Invoker()

    @property
    def url(self) -> str:
        """The address of the server, for a test that speaks HTTP with it."""
        return self._server.url

    @property
    def token(self) -> str:
        """What such a test must send: ``Authorization: Bearer TOKEN``."""
        return self._server.token

    def invoke(self, event: object = None, /, **parameters: object) -> Activation:
        """
        Call the action, and wait for its result and its log.

        ``parameters`` are added to the ``event``. An event that is a list is sent alone. If the
        test fails, pytest shows the log.
        """
        __tracebackhide__ = True
        if not self._server.started:  # it is ended after some errors, as a container is
            self.start()
        event = {} if event is None else event
        if isinstance(event, Mapping):
            event = {**event, **parameters}
        elif parameters:
            raise UsageError(f"a {type(event).__name__} is a whole event; parameters need a dict")
        activation = Activation(self._invoker.invoke(self._server, self._action, event))
        if activation.logs:
            text = self._readable(activation.logs, self._source)
            self._serve.report(f"log of {self._action.name}", text)
        return activation

    def replace(self, path: str | Path, *, main: str = "main") -> None:
        """
        Make another version current on the same server.

        Raises:
            VersionError: it does not load; the current version goes on.
            UsageError: there is no such file or folder.
        """
        __tracebackhide__ = True
        source = self._serve.folder / path
        self._load(source, replace(self._action, code=read_source(source), main=main))

    def start(self) -> None:
        """Start the server, and wait until the action is loaded."""
        __tracebackhide__ = True
        self._server.start()
        self._load(self._source, self._action)

    def stop(self) -> None:
        """Stop the server, and end every process that the action left behind."""
        if self._server.started and not self._server.ended():
            self._server.terminate()  # so that the server empties its run folder
            with suppress(TimeoutExpired):
                self._server.wait(STOP_SECONDS)
        self._server.stop()

    def _load(self, source: Path, action: Action) -> None:
        __tracebackhide__ = True
        # The start of the server is in the time of its first load, so that has the usual limit.
        record = self._invoker.replace(self._server, replace(action, limits=Limits()))
        if record is None:
            self._server.pinned = self._action = action
            self._source = source
            return
        failed = Activation(record)
        lines = [line for line in failed.logs if line != LOGS_AFTER_ERROR]
        text = self._readable(lines, source) or str(failed.error)
        if not self._server.started:
            raise StartError(f"the server for {source.name} has ended\n{text}")
        raise VersionError(f"{source.name} does not load\n{text}")

    def _readable(self, lines: list[str], source: Path) -> str:
        """Return lines of a log with the paths of the test in place of those of the server."""
        posted = rf"{re.escape(self._serve.run_folder)}/\d+/\d+/code"
        single = "/main__.py" if source.is_file() else ""
        return re.sub(posted + single, lambda _: str(source), "\n".join(lines))


class ServeAction:
    """
    Serves actions, each on a server of its own, until the context ends.

    Paths of actions begin at ``folder``. All servers have their run folder in common. ``report``
    gets the log of each activation, with a title.
    """

    def __init__(self, folder: Path, run_folder: str, report: Callable[[str, str], None]) -> None:
        self.folder = folder
        self.run_folder = run_folder
        self.report = report
        self._token = secrets.token_urlsafe()
        self._token_file = os.path.join(run_folder, "token")
        with open(self._token_file, "w", opener=_open_private) as file:
            file.write(self._token)
        self._served: list[ServedAction] = []

    def __call__(
        self,
        path: str | Path,
        *,
        main: str = "main",
        parameters: Mapping[str, object] | None = None,
        env: Mapping[str, object] | None = None,
        timeout: float = 60.0,
    ) -> ServedAction:
        """
        Start a server with this action, and wait until the action is loaded.

        ``path`` is a ``.py`` file, a folder with ``__main__.py``, a zip or a built artifact.
        ``parameters`` are added to each event that lacks them. ``env`` holds variables for the
        action. ``timeout`` limits each call, in seconds.

        Raises:
            VersionError: the action does not load; the text has its traceback.
            UsageError: there is no such file or folder.
            StartError: the server does not start.
        """
        __tracebackhide__ = True
        source = self.folder / path
        action = Action(
            action_name(source),
            read_source(source),
            main=main,
            parameters=parameters or {},
            init_parameters=env or {},
            limits=Limits(timeout=int(timeout * 1000)),
        )
        served = ServedAction(self, source, action)
        self._served.append(served)
        served.start()
        return served

    def launch(self) -> Launch:
        """Return how a server is started: in the environment of the test run as it is now."""
        settings = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}
        variables = {**settings, "PROXY_ALLOW_REINIT": "1", "OW_LOG_INIT_ERROR": "1"}
        folder = self.run_folder
        return Launch(self._token, self._token_file, folder, folder, variables, PROGRAM)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all servers."""
        while self._served:
            self._served.pop().stop()


def read_source(source: Path) -> str:
    """Return the code of a file or a folder. A test shows no frame of ours if it is missing."""
    __tracebackhide__ = True
    try:
        return read_code(str(source))[0]
    except UsageError as error:
        raise error.with_traceback(None) from None


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
