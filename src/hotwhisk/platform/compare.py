"""
Run the same action and events on two runtimes.

Both are called through the model of the invoker, one after the other, so that neither slows the
other down. An event has the same identifiers on both, so an action that prints its activation
prints the same.
"""

from __future__ import annotations

import os
import shlex
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hotwhisk.errors import StartError, UsageError
from hotwhisk.platform.activation import Invoker
from hotwhisk.platform.container import ContainerRuntime
from hotwhisk.platform.process_runtime import ProcessRuntime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hotwhisk.platform.action import Action
    from hotwhisk.platform.differences import Record
    from hotwhisk.platform.runtime import Runtime

NO_PORT = (
    "it does not listen yet, and the command does not say {port}: the port is in PORT, which not "
    "every server reads; hotwhisk serve --openwhisk does not"
)
LOG_END_SECONDS = 2.0  # for the log of a command that has ended
LISTEN_SECONDS = 30.0
HINT_SECONDS = 2.0
_PAUSE = 0.05


def runtime_of(text: str, memory: int = 256) -> Runtime:
    """Return a runtime: of a command if the text has a space or is a program, else of an image."""
    if " " in text:
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise UsageError(f"{text}: {error}") from None
        if not words:
            raise UsageError(f'expected an image or a command, got "{text}"')
        return ProcessRuntime(words)
    if os.path.isfile(text) and os.access(text, os.X_OK):
        return ProcessRuntime([os.path.abspath(text)])
    return ContainerRuntime(text, memory=memory)


def require_listener(flag: str, text: str, warn: Callable[[str], None]) -> None:
    """
    Start the runtime of an argument once, and wait until it listens.

    Otherwise two runtimes that both do not start would be equal. ``warn`` gets a text that says why
    the runtime may not listen, before the time is up.

    Raises:
        UsageError: the runtime does not start, or does not listen.
    """
    runtime = runtime_of(text)
    try:
        with runtime:
            command = not isinstance(runtime, ContainerRuntime)
            doubt = f"--{flag} {text}: {NO_PORT}" if command and "{port}" not in text else ""
            _wait_listening(runtime, doubt, warn)
    except StartError as error:
        raise UsageError(f"--{flag} {text}: {error}") from None


def _wait_listening(runtime: Runtime, doubt: str, warn: Callable[[str], None]) -> None:
    """Wait until it listens. If that takes long, warn of ``doubt`` before the time is up."""
    parts = urlsplit(runtime.url)
    start = time.monotonic()
    while (waited := time.monotonic() - start) < LISTEN_SECONDS:
        if doubt and waited > HINT_SECONDS:
            warn(doubt)
            doubt = ""
        try:
            socket.create_connection((parts.hostname or "", parts.port or 80), 1.0).close()
        except OSError:
            pass
        else:
            return
        if how := runtime.ended():
            said = ""
            if runtime.logs is not None:
                runtime.logs.wait_end(LOG_END_SECONDS)  # its reader may still be behind
                said = runtime.logs.last_line(runtime.log_lag)
            raise StartError(f"it ended with {how} before it listened{said and ': '}{said}")
        time.sleep(_PAUSE)
    raise StartError(f"it did not listen on {runtime.url} within {LISTEN_SECONDS:.0f} seconds")


def invoke_both(
    sides: Mapping[str, str], memory: int, action: Action, events: Sequence[object]
) -> list[tuple[Record, Record]]:
    """
    Return the records of each event on both runtimes; ``sides`` has their arguments by flag.

    Raises:
        UsageError: a runtime does not start.
    """
    invoker = Invoker()
    names = [invoker.new_names() for _ in events]
    records: list[list[Record]] = []
    for flag, text in sides.items():
        try:
            with runtime_of(text, memory) as runtime:
                records.append(
                    [
                        invoker.invoke(runtime, action, event, names=name)
                        for event, name in zip(events, names, strict=True)
                    ]
                )
        except StartError as error:
            raise UsageError(f"--{flag} {text}: {error}") from None
    return list(zip(*records, strict=True))
