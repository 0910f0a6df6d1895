"""
The runs of an asynchronous handler in one worker: tasks of its asyncio loop.

Other runs may overlap them, unless the server was started without that. Then further requests wait
in a queue, from which a recall can take them.
"""

from __future__ import annotations

from hotwhisk.action.action import Action
from hotwhisk.config.platform import Profile
from hotwhisk.ipc.messages import Released
from hotwhisk.openwhisk.bodies import RunRequest
from hotwhisk.openwhisk.part_forms import AnswersInParts
from hotwhisk.worker import invocation
from hotwhisk.worker.connection import Connection, Stage
from hotwhisk.worker.connections import Connections
from hotwhisk.worker.event_loop import AsyncioLoop, exit_on_error
from hotwhisk.worker.joining import join_async
from hotwhisk.worker.own_process import end_copy
from hotwhisk.worker.streaming import send_parts_async

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable
    from typing import Protocol

    from hotwhisk.http1.http1 import Request
    from hotwhisk.http1.trace_context import TraceContext
    from hotwhisk.worker.invocation import RunAnswer
    from hotwhisk.worker.joining import Streamer
    from hotwhisk.worker.part_stream import PartStream

    Task = asyncio.Task[RunAnswer]

    class RunEnds(Protocol):
        """
        Ends runs, with the texts and statuses of a ``profile``.

        The methods that end one return whether the next request can be read.
        """

        profile: Profile

        def call_async(
            self, action: Action, run: RunRequest, trace: TraceContext | None
        ) -> Awaitable[RunAnswer]:
            """Call an asynchronous handler; return what gives its answer."""

        def make_stream(self, connection: Connection, request: Request) -> PartStream:
            """Return what sends the parts of a response."""

        def make_streamer(self, run: RunRequest) -> Streamer:
            """Return the connection to the streamer that a run asks for."""

        def end_run(self, connection: Connection, request: Request, answer: RunAnswer) -> bool:
            """Send the answer of a run."""

        def end_stream(self, stream: PartStream, answer: RunAnswer) -> bool:
            """End a run whose parts were sent."""


class AsyncRuns:
    """Holds the runs of one worker that are tasks; ``ends`` ends them."""

    def __init__(self, connections: Connections, ends: RunEnds) -> None:
        self._connections = connections
        self._ends = ends
        self.running: dict[Connection, Task] = {}
        """The task of each run."""
        self._release_pending = False
        self._queue: list[Connection] = []
        self._tasks: set[object] = set()  # the event loop itself holds them by weak references

    def release_message(self, released: list[list[int]], *, overlap: bool) -> Released:
        """
        Return the message that ends a recall: these connections were released.

        If a coroutine runs and other runs may not ``overlap`` it, this worker is as busy as a
        blocked one. So the message leaves ``recalled`` unset, and `_run_next` sends that after the
        run.
        """
        self._release_pending = bool(self.running) and not overlap
        return Released(released, recalled=not self._release_pending)

    def wait_for_turn(self, connection: Connection) -> None:
        """Queue a request until the current run ends. A recall can take it meanwhile."""
        connection.save_request()
        connection.stage = Stage.QUEUED
        # If the loop read more of the connection, the request would be answered twice.
        self._connections.loop.unwatch(connection.socket.fileno())
        self._queue.append(connection)

    def start(
        self, connection: Connection, request: Request, run: RunRequest, action: Action
    ) -> None:
        """Start a coroutine's run; its connection is not read again before the response."""
        connections = self._connections
        connection.stage = Stage.RUNNING
        connections.loop.unwatch(connection.socket.fileno())
        loop = connections.loop
        assert isinstance(loop, AsyncioLoop)
        task = loop.asyncio.create_task(self._call(connection, request, run, action))

        def finish(connection: Connection) -> Request | None:
            if self.running.get(connection) is not task:
                return None  # its answer was sent in parts, or after an exception from outside
            answer = invocation.CANCELLED if task.cancelled() else task.result()
            self._end(connection)
            free = self._ends.end_run(connection, request, answer)
            return connection.next_request() if free else None

        def done() -> None:
            connections.with_claim(connection, finish)
            self._run_next()

        self.running[connection] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: exit_on_error(done)())

    def _end(self, connection: Connection) -> None:
        """Forget a run; its connection can be read again."""
        del self.running[connection]
        connection.stage = Stage.LISTENING
        self._connections.watch(connection)

    async def _call(
        self, connection: Connection, request: Request, run: RunRequest, action: Action
    ) -> RunAnswer:
        """
        Call the handler, and send its parts if it answers in parts; return its answer.

        If the handler forked this process, the child ends here, before asyncio reports an error.
        """
        ends = self._ends
        try:
            answer = await ends.call_async(action, run, request.head.trace)
        except AnswersInParts as found:
            parts = found.parts
        else:
            end_copy(self._connections.pid)
            return answer
        loop = self._connections.loop
        assert isinstance(loop, AsyncioLoop)
        if ends.profile is Profile.OPENWHISK:
            return await join_async(parts, ends.make_streamer(run), ends.profile, loop)
        stream = ends.make_stream(connection, request)
        cancel = self.running[connection].cancel
        answer = await send_parts_async(parts, stream, ends.profile, loop, cancel)
        if stream.answers:
            self._finish_stream(stream, answer)
        return answer

    def _finish_stream(self, stream: PartStream, answer: RunAnswer) -> None:
        """End a run whose parts were sent, in its own task, and read on."""

        def finish(connection: Connection) -> Request | None:
            self._end(connection)
            free = self._ends.end_stream(stream, answer)
            return connection.next_request() if free else None

        self._connections.with_claim(stream.connection, finish)

    def _run_next(self) -> None:
        """Start the next queued request after a run has ended."""
        if self._release_pending and not self.running:
            self._release_pending = False
            self._connections.channel.send(Released(recalled=True))
        while self._queue and not self.running:
            connection = self._queue.pop(0)
            if self._connections.has(connection):
                connection.stage = Stage.LISTENING
                self._connections.with_claim(connection, self._connections.resume)
                self._connections.watch_idle(connection)
