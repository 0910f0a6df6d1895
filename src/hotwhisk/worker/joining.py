"""
Join the parts of an answer where the platform takes whole results only, as OpenWhisk does.

OpenServerless can have the parts as well, while the handler yields them. Its streamer then listens
for one connection, and names the place in the event: ``STREAM_HOST`` and ``STREAM_PORT``. Each part
is sent there as it is yielded, and the result of the run is the same as without a streamer. If the
streamer closes the connection, its client has left, and so the generator is closed.
"""

from __future__ import annotations

import _socket
from os import getpid

from hotwhisk.openwhisk.bodies import write_result
from hotwhisk.openwhisk.part_forms import Layout, joined, write_part
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
from hotwhisk.worker.part_stream import print_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from hotwhisk.config.platform import Profile
    from hotwhisk.openwhisk.part_forms import Parts
    from hotwhisk.worker.event_loop import AsyncioLoop
    from hotwhisk.worker.invocation import RunAnswer

CONNECT_LIMIT: Final = 10.0
"""Seconds within which the streamer must accept the connection."""

SEND_LIMIT: Final = 10.0
"""Seconds within which the streamer must take a part where runs overlap; else it counts as gone."""


class StreamerLeft(Exception):
    """The streamer has closed the connection."""


class Streamer:
    """
    The connection to the streamer that an ``event`` names; without one, nothing is sent.

    ``prepare`` is called before a descriptor is made. If the streamer cannot be reached, a line in
    the log says so, and nothing is sent.
    """

    def __init__(self, event: object, prepare: Callable[[], None]) -> None:
        self._address = _address(event)
        self._prepare = prepare
        self._socket: _socket.socket | None = None

    def connect(self) -> None:
        """Connect, and wait for it."""
        if self._address is not None:
            try:
                opened = self._open(self._address)
                opened.settimeout(CONNECT_LIMIT)
                opened.connect(self._address)
                opened.settimeout(None)
            except OSError as error:
                self._give_up(self._address, error)

    def send(self, part: object) -> None:
        """
        Send a part, and wait until the kernel has it.

        Raises:
            BadResult: the part has no form in JSON.
            StreamerLeft: the streamer has closed the connection.
        """
        data = write_part(Layout.PLAIN, part)
        if self._socket is not None:
            try:
                self._socket.sendall(data)
            except OSError:
                raise StreamerLeft from None

    async def connect_async(self, loop: AsyncioLoop) -> None:
        """Connect, while other tasks go on."""
        if self._address is not None:
            try:
                opened = self._open(self._address)
                opened.setblocking(False)
                connecting = loop.asyncio.sock_connect(opened, self._address)  # type: ignore[arg-type]
                # The deadline of this run would end its worker, and the runs beside it.
                await loop.within(CONNECT_LIMIT, connecting)
            except OSError as error:
                self._give_up(self._address, error)

    async def send_async(self, part: object, loop: AsyncioLoop) -> None:
        """Send a part as `send`, while other tasks go on."""
        data = write_part(Layout.PLAIN, part)
        if self._socket is not None:
            try:
                sending = loop.asyncio.sock_sendall(self._socket, data)  # type: ignore[arg-type]
                await loop.within(SEND_LIMIT, sending)
            except OSError:
                raise StreamerLeft from None

    def close(self) -> None:
        """Close the connection, which ends the stream."""
        if self._socket is not None:
            self._socket.close()

    def _open(self, address: tuple[str, int]) -> _socket.socket:
        self._prepare()
        family = _socket.AF_INET6 if ":" in address[0] else _socket.AF_INET
        self._socket = _socket.socket(family, _socket.SOCK_STREAM)
        return self._socket

    def _give_up(self, address: tuple[str, int], error: OSError) -> None:
        host, port = address
        print_line(
            f"the streamer at {host} port {port} (STREAM_HOST, STREAM_PORT) cannot be reached: "
            f"{error}; the parts are in the result of the run only"
        )
        self.close()
        self._socket = None


def _address(event: object) -> tuple[str, int] | None:
    """Return the address of the streamer; None if the event names none."""
    if not isinstance(event, dict):
        return None
    host, port = event.get("STREAM_HOST"), str(event.get("STREAM_PORT"))
    if not isinstance(host, str) or not host or not port.isascii() or not port.isdigit():
        return None
    return (host, int(port)) if len(port) <= 5 and int(port) <= 65535 else None


def join(parts: Parts, streamer: Streamer, profile: Profile) -> RunAnswer:
    """Run a generator to its end; return the answer that has all its parts."""
    found: list[object] = []
    failed, pid = None, getpid()
    try:
        streamer.connect()
        while (part := next_part(parts)) is not END:
            end_copy(pid)
            found.append(part)
            streamer.send(part)
    except StreamerLeft:
        pass
    except BaseException as error:  # noqa: BLE001 - code of the action ran
        failed = error
    end_copy(pid)
    try:
        close_parts(parts)
    except BaseException as error:  # noqa: BLE001 - code of the action ran
        failed = error
    streamer.close()
    return _answer(found, failed, profile)


async def join_async(
    parts: Parts, streamer: Streamer, profile: Profile, loop: AsyncioLoop
) -> RunAnswer:
    """Do as `join` in a task of an asyncio loop, while other tasks go on."""
    found: list[object] = []
    failed, pid = None, getpid()
    try:
        await streamer.connect_async(loop)
        while (part := await next_part_async(parts)) is not END:
            end_copy(pid)
            found.append(part)
            await streamer.send_async(part, loop)
            await pause()
    except StreamerLeft:
        pass
    except BaseException as error:  # noqa: BLE001 - code of the action ran
        failed = error
    end_copy(pid)
    try:
        await close_parts_async(parts)
    except BaseException as error:  # noqa: BLE001 - code of the action ran
        failed = error
    streamer.close()
    return _answer(found, failed, profile)


def _answer(found: list[object], failed: BaseException | None, profile: Profile) -> RunAnswer:
    """Return the answer with the parts that were found, unless something failed."""
    try:
        if failed is not None:
            return *invocation.failure(failed, profile), True
        return 200, write_result(joined(found)), False
    except BaseException as error:  # noqa: BLE001 - a part has no form in JSON
        return *invocation.failure(error, profile), True
    finally:
        flush()
