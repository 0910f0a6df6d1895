"""
Repair a connection after an exception from outside broke off our own code.

A thread can raise an exception in another thread (``PyThreadState_SetAsyncExc``). A trace or
profile function can raise one in the code that it watches. Memory can run out anywhere. (Signal
handlers cannot raise one here: see `hotwhisk.action.signal_guard`.) The exception can hit between a
system call and the store of its result. So this module asks the kernel, which counts the bytes of a
connection, how much was read or written. The scoreboard says how far the request had come:

- If the request had not yet reached the action, the bytes that were read are saved in a spill file
  and parsed again.
- If the request was with the action, the exception is the result of that run, as if the handler had
  raised it.
- If the response was being sent, the rest of it is sent. A response in parts is cut.

In an event loop the steps between belong to asyncio and cannot be repaired. If the end of a run is
lost there, the run is answered at its deadline. If something else cannot be repaired, the process
ends, and the supervisor recovers its connections. A request is refused only if it is malformed when
it is parsed a second time: the first error may have come from outside.
"""

from __future__ import annotations

from time import monotonic

from hotwhisk.action.signal_guard import print_stray
from hotwhisk.errors import RequestError
from hotwhisk.http1.http1 import Reader
from hotwhisk.ipc.scoreboard import CloseAfter, Phase
from hotwhisk.system.tcp import bytes_read, bytes_written
from hotwhisk.worker.connection import Stage
from hotwhisk.worker.own_process import fail
from hotwhisk.worker.socket_errors import Disconnected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.http1.http1 import Request
    from hotwhisk.ipc.scoreboard import Scoreboard
    from hotwhisk.worker.connection import Connection
    from hotwhisk.worker.connections import Connections

ATTEMPTS = 10
"""How often one request or its repair may be interrupted before the process ends."""


def handle_error(connections: Connections, connection: Connection, error: BaseException) -> None:
    """
    Handle an exception that was raised while a connection was claimed.

    Either the client is gone, or its bytes are not a request, or the exception came from outside.
    """
    for _ in range(ATTEMPTS):
        try:
            if isinstance(error, Disconnected):
                connections.close(connection)
            elif isinstance(error, RequestError):
                _refuse_if_sure(connections, connection, error)
            else:
                _go_on(connections, connection, error)
            return
        except BaseException as another:  # noqa: BLE001 - the next attempt handles it
            error = another
    try:
        raise error
    except BaseException:  # noqa: BLE001 - the hook prints it
        fail()


def _refuse_if_sure(connections: Connections, connection: Connection, error: RequestError) -> None:
    """Refuse a malformed request if it is malformed when it is read a second time."""
    try:
        reread(connection)
    except RequestError as refusal:
        connections.send_error(connection, refusal.status, str(refusal))
    else:
        _go_on(connections, connection, error)


def _go_on(connections: Connections, connection: Connection, error: BaseException) -> None:
    """Continue with a connection from the phase in which an exception from outside left it."""
    if connection.stage is Stage.CLOSING:
        _finish_close(connections, connection)
        return
    if not connections.has(connection) or connection.socket.fileno() < 0:
        raise error  # it was being released: only the supervisor knows its state now
    phase = connections.scoreboard.phase(connection.number)
    if phase is Phase.LINGERING:
        connections.linger(connection)
        ready = False
    elif phase is Phase.RUNNING:
        ready = connections.answerer.end_interrupted(connection, error)
    elif phase is Phase.STREAMING:
        _cut_stream(connections, connection, error)
        ready = False
    elif phase is Phase.RESPONDING and not has_next(connection, connections.scoreboard):
        ready = _finish_answer(connections, connection, error)
    else:
        print_stray(error, "the action")
        ready = repair_input(connection, connections.buffer)
    error.__traceback__ = None  # the frames hold views of the memory file
    if ready:
        connections.with_claim(connection, connections.resume)
        connections.watch_idle(connection)


def _finish_close(connections: Connections, connection: Connection) -> None:
    """
    Close a connection that is not closed yet.

    If the scoreboard says already that it is closed, its number may be in use again. Then the
    connection is only removed here.
    """
    if connections.scoreboard.phase(connection.number) in (Phase.CLOSED, Phase.FREE):
        connections.by_number.pop(connection.number, None)
    else:
        connections.close(connection)


def _cut_stream(connections: Connections, connection: Connection, error: BaseException) -> None:
    """Close a connection whose stream was broken off: what its client got is not whole."""
    print_stray(error, "the action")
    number, scoreboard = connection.number, connections.scoreboard
    connections.counters.interrupted(number, monotonic() - connection.began)
    scoreboard.set_close(number, CloseAfter.REQUESTED)
    connection.end_parts(scoreboard.row(number).sent, b"")
    connections.close(connection)


def _finish_answer(connections: Connections, connection: Connection, error: BaseException) -> bool:
    """Send the rest of a response; return whether the next request can be read."""
    out = repair_output(connection, connections.scoreboard)
    if out is None:
        return connections.answerer.end_interrupted(connection, error)
    if out:
        return connections.response_sent(connection)
    connections.wait_to_write(connection)
    return False


def repair_input(connection: Connection, buffer: memoryview) -> bool:
    """
    Save all bytes that were read and not answered in a spill file; return False if there are none.

    ``buffer`` is the scratch space into which bytes were read.
    """
    total = bytes_read(connection.socket)
    if connection.spill is not None and not connection._data:
        connection._spilled = total - connection._spill_at
    else:
        data = bytes(buffer[: total - connection._read]) or connection._data or connection.pipelined
        connection._data, connection._read = data, total
        if not data:
            return False
        connection._save(data)
    connection._read = total
    connection.save_request()
    assert connection.spill is not None
    connection._scoreboard.set_spill(
        connection.number, connection.spill.number, connection._spilled
    )
    return True


def reread(connection: Connection) -> Request | None:
    """
    Parse the current request once more.

    Raises:
        RequestError: the bytes are not a request.
    """
    if connection.spill is not None:
        return Reader().examine(connection.spill.map, connection._spilled)
    return Reader().examine(connection._data, len(connection._data))


def repair_output(connection: Connection, scoreboard: Scoreboard) -> bool | None:
    """
    Find out how much of a response was sent.

    Return True if all of it was sent. Return False if the rest of it must still be flushed. Return
    None if the response is lost and no byte of it was sent.

    Raises:
        Disconnected: a part of the response was sent, and the rest is lost.
    """
    row = scoreboard.row(connection.number)
    end, written = row.sent + row.answer, bytes_written(connection.socket.fileno())
    if written >= end:
        connection.sent, connection._out = end, []
        return True
    left = end - written
    rest = b"".join(connection._out)[-left:]
    connection.sent = written
    if len(rest) == left:
        connection._out = [memoryview(rest)]
        return False
    connection._out = []
    if written > row.sent:
        raise Disconnected
    return None


def has_next(connection: Connection, scoreboard: Scoreboard) -> bool:
    """Return whether the current request follows the one whose response was sent."""
    row = scoreboard.row(connection.number)
    has_bytes = bool(connection._data) or connection.spill is not None
    return has_bytes and connection._next_at == row.sent + row.answer
