"""
Going on after an exception that came from outside: into our own code, in the middle of a request.

A thread can raise in another one (`PyThreadState_SetAsyncExc`), a trace or profile function in
whatever it watches, and memory can run out anywhere. (Signal handlers cannot: see
`hotwhisk.action.signals`.) The exception can hit between a system call and the store of its result.
So what was read or written is asked of the kernel, which counts the bytes of a connection, and
the ledger says how far the request had come:

- not yet with the action: what was read goes into a spill, and is looked at again;
- with the action: the exception is the result of that run, as if the handler had raised it;
- being answered: the rest of the answer is sent.

In an event loop the steps between, which are asyncio's, cannot be repaired: a run whose end is lost
there is answered at its deadline. What cannot be repaired ends the process, and the supervisor settles what it owed. A refusal is
such a statement about a client too; so a request is refused only if a second look agrees.

Options weighed: to end the process always (the request that was read is lost, and with it what
the action keeps in memory); a transaction around each step (instructions for every request).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotwhisk.action.signals import print_stray
from hotwhisk.errors import RequestError
from hotwhisk.http1.http1 import Reader
from hotwhisk.ledger import Phase
from hotwhisk.system.tcp import bytes_read, bytes_written
from hotwhisk.worker import invocation
from hotwhisk.worker.connection import Stage
from hotwhisk.worker.socket_errors import Gone

if TYPE_CHECKING:
    from hotwhisk.http1.http1 import Request
    from hotwhisk.ledger import Ledger
    from hotwhisk.worker.connection import Connection
    from hotwhisk.worker.holder import Holder

ATTEMPTS = 10
"""How often one request may be interrupted, and its repair with it, before the process ends."""


def resolve(holder: Holder, connection: Connection, error: BaseException) -> None:
    """
    Do what follows from an exception that broke off a touch: the client is gone, or sent what is
    no request; or it was neither, and the exception came from outside.
    """
    for _ in range(ATTEMPTS):
        try:
            if isinstance(error, Gone):
                holder.close(connection)
            elif isinstance(error, RequestError):
                _refuse_if_sure(holder, connection, error)
            else:
                _go_on(holder, connection, error)
            return
        except BaseException as another:  # noqa: BLE001 - once more
            error = another
    try:
        raise error
    except BaseException:  # noqa: BLE001 - told by the hook
        invocation.fail()


def _refuse_if_sure(holder: Holder, connection: Connection, error: RequestError) -> None:
    """Refuse what is no request, if it is none when it is read a second time."""
    try:
        reread(connection)
    except RequestError as refusal:
        holder.refuse(connection, refusal.status, str(refusal))
    else:
        _go_on(holder, connection, error)


def _go_on(holder: Holder, connection: Connection, error: BaseException) -> None:
    """Take up a connection where an exception from outside left it."""
    if connection.stage is Stage.CLOSING:
        _finish_close(holder, connection)
        return
    if not holder.holds(connection) or connection.socket.fileno() < 0:
        raise error  # in the middle of parting with it: the supervisor knows what is owed
    phase = holder.ledger.phase(connection.number)
    if phase is Phase.LINGERING:
        holder.linger(connection)
        ready = False
    elif phase is Phase.HANDLING:
        ready = holder.end_interrupted(connection, error)
    elif phase is Phase.ANSWERING and not has_next(connection, holder.ledger):
        ready = _finish_answer(holder, connection, error)
    else:
        print_stray(error, "the action")
        ready = recover_input(connection, holder.buffer)
    error.__traceback__ = None  # its frames hold views of the memory file
    if ready:
        holder.touch(connection, holder.resume)
        holder.watch_idle(connection)


def _finish_close(holder: Holder, connection: Connection) -> None:
    """Close what is not closed yet. A number that the supervisor was told of may be used again."""
    if holder.ledger.phase(connection.number) in (Phase.CLOSED, Phase.FREE):
        holder.connections.pop(connection.number, None)
    else:
        holder.close(connection)


def _finish_answer(holder: Holder, connection: Connection, error: BaseException) -> bool:
    """Complete an answer that was being sent; True if the connection can be asked for more."""
    out = recover_output(connection, holder.ledger)
    if out is None:
        return holder.end_interrupted(connection, error)
    if out:
        return holder.answered(connection)
    holder.wait_to_write(connection)
    return False


def recover_input(connection: Connection, buffer: memoryview) -> bool:
    """
    Put all that was read and not answered into a spill; False if there is nothing. ``buffer``
    is what was read into.
    """
    total = bytes_read(connection.socket)
    if connection.spill is not None and not connection._data:
        connection._spilled = total - connection._spill_at
    else:
        data = bytes(buffer[: total - connection._read]) or connection._data or connection._rest
        connection._data, connection._read = data, total
        if not data:
            return False
        connection._keep(data)
    connection._read = total
    connection.put_back()
    assert connection.spill is not None
    connection._ledger.spilled(connection.number, connection.spill.number, connection._spilled)
    return True


def reread(connection: Connection) -> Request | None:
    """
    Read the request in hand once more.

    Raises:
        RequestError: it is none.
    """
    if connection.spill is not None:
        return Reader().examine(connection.spill.map, connection._spilled)
    return Reader().examine(connection._data, len(connection._data))


def recover_output(connection: Connection, ledger: Ledger) -> bool | None:
    """
    Find how far the answer got that was being sent: True if it is out; False if the rest of it
    is still to be flushed; None if nothing of it is left, nor was sent.

    Raises:
        Gone: a part of it was sent, and the rest is lost.
    """
    row = ledger.row(connection.number)
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
        raise Gone
    return None


def has_next(connection: Connection, ledger: Ledger) -> bool:
    """Whether the request in hand follows the one whose answer is out."""
    row = ledger.row(connection.number)
    in_hand = bool(connection._data) or connection.spill is not None
    return in_hand and connection._next_at == row.sent + row.answer
