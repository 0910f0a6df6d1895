"""Forward an ``/init`` from the worker that has read it to the supervisor."""

from __future__ import annotations

from os import close

from hotwhisk.errors import Forbidden
from hotwhisk.ipc.messages import InitReceived
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.openwhisk.bodies import INIT_TWICE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.config.config import Config
    from hotwhisk.http1.http1 import Request
    from hotwhisk.worker.connection import Connection
    from hotwhisk.worker.connections import Connections

WITHOUT_ACTION = (Cause.NO_ACTION, Cause.LOAD_FAILED)
"""The causes that say that no action is loaded."""


def forward_init(
    connections: Connections, connection: Connection, request: Request, config: Config
) -> None:
    """
    Send an ``/init`` and its connection to the supervisor, which loads and answers it.

    Raises:
        Forbidden: an action is loaded, and the platform allows no second ``/init``.
    """
    # While no action is current, a spare answers each /run with one of these errors.
    if not config.reinit and connection.run_error not in WITHOUT_ACTION:
        connections.streams.outputs[2].write(f"{INIT_TWICE}\n".encode())
        raise Forbidden(INIT_TWICE)
    length = len(request.body)
    spill, offset, descriptor = connection.take_body(request)
    connections.remove(connection)
    last, new = not request.head.keep_alive, [descriptor] if descriptor >= 0 else []
    connections.channel.send(
        InitReceived(connection.number, spill, offset, length, last, bool(new)), new
    )
    connections.channel.flush_all()  # a queued message would be lost with this process
    for each in new:
        close(each)
    connections.exit_if_drained()
