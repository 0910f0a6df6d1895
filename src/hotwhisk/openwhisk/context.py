"""
The context of an activation, for a handler with a second parameter.

It only shows what a ``/run`` carried beside its value. A handler gets it only if its second
positional parameter is required.
"""

from __future__ import annotations

import math
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hotwhisk.cloudevents.cloud_event import CloudEvent
    from hotwhisk.http1.trace_context import TraceContext


class Context:
    """The caller of an activation, its identifiers, and its deadline."""

    __slots__ = ("_clock", "_event", "_host", "_trace", "_values")

    def __init__(
        self,
        values: Mapping[str, str],
        clock: Callable[[], float] = time.time,
        api_host: str = "",
        trace: TraceContext | None = None,
        cloudevent: CloudEvent | None = None,
    ) -> None:
        """
        Take the ``values`` of the request.

        ``clock`` returns seconds since the epoch. ``api_host`` is the platform's address, which no
        request contains. ``trace`` is what the headers of the request say about its trace.
        ``cloudevent`` is the event, if the request is one.
        """
        self._values = values
        self._clock = clock
        self._host = api_host
        self._trace = trace
        self._event = cloudevent

    @property
    def activation_id(self) -> str:
        """The platform's number of this activation; empty if the caller gave none."""
        return self._values.get("activation_id", "")

    @property
    def action_name(self) -> str:
        """The fully qualified name of the action, as ``/namespace/package/name``."""
        return self._values.get("action_name", "")

    @property
    def action_version(self) -> str:
        """The version of the action, as ``0.0.1``."""
        return self._values.get("action_version", "")

    @property
    def namespace(self) -> str:
        """The namespace of the caller, which need not be the action's own."""
        return self._values.get("namespace", "")

    @property
    def transaction_id(self) -> str:
        """The platform's number of the request that led here."""
        return self._values.get("transaction_id", "")

    @property
    def api_key(self) -> str | None:
        """The caller's key, if the action is allowed to see it."""
        return self._values.get("api_key")

    @property
    def deadline(self) -> int | None:
        """The end of the activation, in milliseconds since the epoch; None if not known."""
        try:
            return int(self._values["deadline"])
        except (KeyError, ValueError):
            return None

    @property
    def traceparent(self) -> str:
        """The header of that name, if the request had a valid one; empty otherwise."""
        return self._trace.traceparent if self._trace is not None else ""

    @property
    def tracestate(self) -> str:
        """The header of that name, if it was valid beside a `traceparent`; empty otherwise."""
        return self._trace.tracestate if self._trace is not None else ""

    @property
    def cloudevent(self) -> CloudEvent | None:
        """The event with its attributes, if the request was a CloudEvent; None otherwise."""
        return self._event

    def remaining_time(self) -> float:
        """Return the seconds left, never less than 0; infinite without a deadline."""
        deadline = self.deadline
        if deadline is None:
            return math.inf
        return max(0.0, deadline / 1000 - self._clock())

    # DigitalOcean documents these names.

    @property
    def function_name(self) -> str:
        """Return `action_name`."""
        return self.action_name

    @property
    def function_version(self) -> str:
        """Return `action_version`."""
        return self.action_version

    @property
    def request_id(self) -> str:
        """Return `transaction_id`."""
        return self.transaction_id

    @property
    def api_host(self) -> str:
        """The address of the platform, from ``__OW_API_HOST``; empty if the variable is not set."""
        return self._values.get("api_host", self._host)

    def get_remaining_time_in_millis(self) -> int:
        """
        Return the whole milliseconds that are left, at least 0.

        If there is no deadline, return a very great number.
        """
        left = self.remaining_time()
        return sys.maxsize if left == math.inf else int(left * 1000)

    def __repr__(self) -> str:
        return f"<Context of {self.action_name or 'an action'} {self.activation_id}>"
