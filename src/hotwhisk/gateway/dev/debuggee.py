"""Let the debugger of `hotwhisk.gateway.dev.debugger_relay` reach the worker of an action."""

from __future__ import annotations

import os
import socket
from typing import Final

from hotwhisk import on_startup

_HOST: Final = "127.0.0.1"
ATTACHED: Final = b"1"
"""The relay's answer to a worker if an editor is attached; otherwise it is another byte."""


class _Announced:
    """Holds the connection whose end tells the relay that this worker has ended."""

    connection: socket.socket | None = None


def listen_on_startup(port: int) -> None:
    """
    Wait for a debugger once the action is loaded, and tell the relay at ``port`` where.

    If an editor is attached, the action gets no call before the breakpoints are set.
    """
    # Python's own frozen modules hold no breakpoints; the warning about them is not the user's.
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    import debugpy  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: T100

    @on_startup
    def listen() -> None:
        _, own = debugpy.listen((_HOST, 0), in_process_debug_adapter=True)  # noqa: T100
        _Announced.connection = announced = socket.create_connection((_HOST, port))
        announced.sendall(b"%d\n" % own)
        if announced.recv(1) == ATTACHED:
            debugpy.wait_for_client()  # noqa: T100
