"""
Run copies of requests in a version on trial, and compare its answers with those of the current one.

The worker has loaded its action, and has no connection. It runs one copy at a time, exactly as a
request, but nothing of it is counted or sent to a client. For each it reports to the supervisor
whether its answer differs, and how. `hotwhisk.worker.copies` brings the copies.

Two answers are equal if their statuses and their JSON values are, without what the ``/init`` tells
to ignore. The place in the text of an exception (``hello.py:7``) may differ too: one more line of
comment moves it.
"""

from __future__ import annotations

import re

from hotwhisk import json_codec
from hotwhisk.action.action import Action
from hotwhisk.action.environ import TraceVariables
from hotwhisk.errors import RequestError
from hotwhisk.http1.http1 import Head, Request
from hotwhisk.ipc.messages import (
    LONGEST_DIFFERENCE,
    BeginTrial,
    Compared,
    EndTrial,
    OfferCopies,
    TrialEnded,
)
from hotwhisk.json_differences import ChangedPlace, changed_places, cut, without
from hotwhisk.openwhisk.bodies import read_run
from hotwhisk.openwhisk.part_forms import AnswersInParts
from hotwhisk.worker import invocation
from hotwhisk.worker.copies import CopyReceiver, CopySender
from hotwhisk.worker.event_loop import AsyncioLoop, exit_on_error
from hotwhisk.worker.joining import Streamer, join, join_async
from hotwhisk.worker.own_process import PipedStreams, end_copy, exit_now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from hotwhisk.actionloop.bridge import Program
    from hotwhisk.openwhisk.bodies import RunRequest
    from hotwhisk.openwhisk.trial_request import TrialRequest
    from hotwhisk.worker.copies import Copy
    from hotwhisk.worker.invocation import RunAnswer
    from hotwhisk.worker.requests import Requests

    TrialMessage = BeginTrial | OfferCopies | EndTrial

UNPRINTABLE: Final = "�"

_PLACE: Final = re.compile(r" \([^()]+:\d+\)$")
"""Where an exception was raised, at the end of the text of its answer."""


class WorkerTrial:
    """Acts on messages about trials: offers copies while it serves, or is on trial itself."""

    def __init__(self, requests: Requests) -> None:
        self.request: TrialRequest | None = None
        """What the ``/init`` of its version asks for."""
        self._requests = requests
        self._respond = requests.respond
        self._connections = requests.connections
        self._sender: CopySender | None = None
        self._receiver: CopyReceiver | None = None
        self._streams: PipedStreams | None = None
        self._trace_variables = TraceVariables()
        self._task: object = None
        """The task of the copy that runs, if the handler is a coroutine function."""
        self._is_ending = False
        self._left = 0
        """How many more copies are run; a negative number is no limit."""

    @property
    def limits(self) -> tuple[int, int]:
        """Return the most copies and the most seconds that are asked for; 0 for no trial."""
        return (self.request.copies, self.request.seconds) if self.request is not None else (0, 0)

    def handle(self, message: TrialMessage, descriptors: list[int]) -> None:
        """Act on a message about a trial."""
        lowest = self._connections.place.lowest
        match message:
            case OfferCopies():
                self._stop_offering()
                respond, stop = self._requests.respond, self._stop_offering
                self._sender = CopySender(descriptors[0], lowest, respond, stop)
                self._requests.respond = self._sender.respond
            case BeginTrial():
                if message.piped:
                    self._streams = PipedStreams(descriptors[1:], lowest)
                self._receiver = CopyReceiver(descriptors[0], lowest)
                self._left = self.limits[0]
                self._watch()
            case EndTrial():
                self._is_ending = True
                if self._task is None:
                    self._end()

    # -- while it serves --------------------------------------------------------------------

    def _stop_offering(self) -> None:
        if self._sender is not None:
            self._sender.close()
            self._sender = None
            self._requests.respond = self._respond

    # -- on trial ---------------------------------------------------------------------------

    def _watch(self) -> None:
        assert self._receiver is not None
        self._connections.loop.watch(self._receiver.fileno(), self._receive)

    def _receive(self) -> None:
        """Run a copy that has come, if it is one."""
        if self._connections.forked:
            exit_now(0)
        assert self._receiver is not None
        self._connections.streams.reopen_closed()
        try:
            copy = self._receiver.receive()
        except EOFError:
            self._connections.loop.unwatch(self._receiver.fileno())
            return
        if copy is not None:
            self._left -= 1
            if not self._left:  # the supervisor ends the trial when it has the report
                self._connections.loop.unwatch(self._receiver.fileno())
            self._run(copy)

    def _run(self, copy: Copy) -> None:
        requests, action = self._requests, self._requests.action
        assert action is not None
        head = Head("POST", "/run", 1, (), len(copy.body), False, True, False, copy.trace)
        request = Request(head, copy.body, len(copy.body))
        try:
            run = read_run(copy.body, requests.profile)
        except RequestError:
            return  # no worker of ours has answered that
        if (copy.trace is not None or self._trace_variables.are_set) and not requests.overlap:
            self._trace_variables.show(copy.trace)
        if not action.is_async:
            self._report(copy, self._call(action, run, request))
            return
        loop, receiver = self._connections.loop, self._receiver
        assert isinstance(action, Action)
        assert isinstance(loop, AsyncioLoop)
        assert receiver is not None
        loop.unwatch(receiver.fileno())
        self._task = task = loop.asyncio.create_task(self._call_async(action, run, copy, loop))

        def done() -> None:
            self._task = None
            self._report(copy, invocation.CANCELLED if task.cancelled() else task.result())
            if self._is_ending:
                self._end()
            elif self._left:
                self._watch()

        task.add_done_callback(lambda _: exit_on_error(done)())

    def _call(self, action: Action | Program, run: RunRequest, request: Request) -> RunAnswer:
        """Call a synchronous handler; return its answer. Parts are joined to a whole one."""
        profile = self._requests.profile
        try:
            return invocation.call(action, run, profile, request)
        except AnswersInParts as found:
            parts = found.parts
        return join(parts, self._streamer(), profile)

    async def _call_async(
        self, action: Action, run: RunRequest, copy: Copy, loop: AsyncioLoop
    ) -> RunAnswer:
        """Call a coroutine function; see `_call`."""
        profile = self._requests.profile
        try:
            return await self._requests.call_async(action, run, copy.trace)
        except AnswersInParts as found:
            parts = found.parts
        return await join_async(parts, self._streamer(), profile, loop)

    def _streamer(self) -> Streamer:
        """Return one that sends nothing: what a copy yields is for no client."""
        return Streamer(None, self._connections.streams.reopen_closed)

    def _report(self, copy: Copy, answer: RunAnswer) -> None:
        end_copy(self._connections.pid)
        ignored = self.request.ignore if self.request is not None else ()
        text = difference((copy.status, copy.answer), answer[:2], ignored)
        self._connections.channel.send(Compared(text))

    def _end(self) -> None:
        """Take no more copies, and be as if none had come, but for what the action remembers."""
        if self._receiver is not None:
            self._connections.loop.unwatch(self._receiver.fileno())
            self._receiver.close()
        if self._streams is not None:
            self._streams.restore()
        if self._trace_variables.are_set:
            self._trace_variables.show(None)
        self._receiver = self._streams = None
        self._connections.channel.send(TrialEnded())


def difference(
    old: tuple[int, bytes], new: tuple[int, bytes], ignored: Sequence[re.Pattern[str]]
) -> str:
    """Return how two answers, each a status and a body, differ; empty if they do not."""
    if old == new:
        return ""
    if old[0] != new[0]:
        return f"status {old[0]} before, {new[0]} now"
    try:
        before, after = (_without_place(json_codec.loads(body)) for _, body in (old, new))
        found = list(changed_places(without(before, ignored), without(after, ignored), "result"))
    except (ValueError, RecursionError):
        return "the answers are not equal, and cannot be compared as JSON"
    if not found:
        return ""
    more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
    return shown(found[0])[: LONGEST_DIFFERENCE - len(more)] + more


def shown(place: ChangedPlace) -> str:
    """Return a place where two answers differ as a line that can be printed."""
    text = f"{cut(place.path)}: {place.old} before, {place.new} now"
    return "".join(each if each.isprintable() else UNPRINTABLE for each in text)


def _without_place(value: object) -> object:
    """Return an answer without the place in its text, if it is that of an exception."""
    if isinstance(value, dict) and value.keys() == {"error"} and isinstance(value["error"], str):
        return {"error": _PLACE.sub("", value["error"])}
    return value
