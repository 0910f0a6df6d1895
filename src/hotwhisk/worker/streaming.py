"""
Run a generator of the action to its end, and send its parts.

There are two ways. A synchronous run waits for the client's reading in the run itself, so its
worker is busy as with any run. In an asyncio loop, other runs go on meanwhile.

A client that leaves ends the generator. Between two parts, GeneratorExit is raised at its
``yield``. If it awaits something, its task is cancelled. The run goes on until the generator has
ended, so the deadline of the run holds for its ``finally`` too.
"""

from __future__ import annotations

from functools import partial
from os import getpid
from select import POLLOUT, poll

from hotwhisk.worker import invocation
from hotwhisk.worker.generators import (
    END,
    close_parts,
    close_parts_async,
    next_part,
    next_part_async,
    pause,
)
from hotwhisk.worker.own_process import end_copy, flush
from hotwhisk.worker.socket_errors import Disconnected

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from typing import Final

    from hotwhisk.config.platform import Profile
    from hotwhisk.openwhisk.part_forms import Parts
    from hotwhisk.worker.event_loop import AsyncioLoop
    from hotwhisk.worker.invocation import RunAnswer
    from hotwhisk.worker.part_stream import PartStream

    CancelTask = Callable[[], object]

WHOLE: Final[RunAnswer] = (200, b"", False)
"""The answer of a run whose parts were sent."""


def send_parts(parts: Parts, stream: PartStream, profile: Profile) -> RunAnswer:
    """
    Send each part of a generator, and wait for room as long as the client reads slowly.

    Return the answer to the request if nothing was sent. Otherwise only its last member counts.
    """
    answer, pid = WHOLE, getpid()
    try:
        while (part := next_part(parts)) is not END:
            end_copy(pid)
            if not stream.send(part):
                _wait_for_room(stream)
            stream.check_client()
        stream.whole = True
    except Disconnected:
        stream.left = True
    except BaseException as error:  # noqa: BLE001 - code of the action ran
        end_copy(pid)
        answer = stream.fail(error, profile)
    try:
        close_parts(parts)
    except BaseException as error:  # noqa: BLE001 - code of the action ran
        answer = *invocation.failure(error, profile), True
    flush()
    end_copy(pid)
    return answer


def _wait_for_room(stream: PartStream) -> None:
    """Send the rest of a part when the client has made room for it; the supervisor limits that."""
    room = poll()
    room.register(stream.connection.socket.fileno(), POLLOUT)
    while not stream.connection.flush():
        room.poll()


async def send_parts_async(
    parts: Parts, stream: PartStream, profile: Profile, loop: AsyncioLoop, cancel: CancelTask
) -> RunAnswer:
    """Do as `send_parts` in a task of an asyncio loop, which ``cancel`` cancels."""
    answer, pid = WHOLE, getpid()
    look = _make_look(stream, loop, cancel)
    descriptor = stream.connection.socket.fileno()
    try:
        while (part := await next_part_async(parts)) is not END and not stream.left:
            end_copy(pid)
            first = not stream.begun
            sent = stream.send(part)
            if first:
                loop.watch(descriptor, look)
            if not sent:
                await _wait_for_room_async(stream, loop, look)
            await pause()
        stream.whole = not stream.left
    except Disconnected:
        stream.left = True
    except BaseException as error:  # noqa: BLE001 - code of the action ran
        end_copy(pid)
        if not _is_own_cancel(stream, error):
            answer = stream.fail(error, profile)
    loop.unwatch(descriptor)  # a second look would cancel what the generator does at its end
    try:
        await close_parts_async(parts)
    except BaseException as error:  # noqa: BLE001 - code of the action ran
        if not _is_own_cancel(stream, error):
            answer = *invocation.failure(error, profile), True
    flush()
    end_copy(pid)
    return answer


def _make_look(stream: PartStream, loop: AsyncioLoop, cancel: CancelTask) -> Callable[[], None]:
    """Return what is called when the client has sent something during its stream, or has left."""

    def look() -> None:
        loop.unwatch(stream.connection.socket.fileno())  # its next request is read after the stream
        try:
            stream.check_client()
        except Disconnected:
            stream.left = True
            cancel()

    return look


def _is_own_cancel(stream: PartStream, error: BaseException) -> bool:
    """Return whether a run was cancelled because its client has left."""
    # By name: the module asyncio is imported for asynchronous actions only.
    return stream.left and type(error).__name__ == "CancelledError"


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():  # it is cancelled, if the task is
        future.set_result(None)


async def _wait_for_room_async(
    stream: PartStream, loop: AsyncioLoop, look: Callable[[], None]
) -> None:
    """Send the rest of a part when the client has made room for it; other runs go on meanwhile."""
    descriptor = stream.connection.socket.fileno()
    sent = False
    while not sent:
        room = loop.asyncio.create_future()
        loop.watch_writable(descriptor, partial(_set_done, room))
        try:
            await room
        finally:
            loop.watch(descriptor, look)
        sent = stream.connection.flush()
