"""
The context of an activation, for a handler that asks for it.

Purely a view of what a ``/run`` carried beside its value; a handler gets one only if its
second positional parameter is required.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Context:
    """Who calls, in whose name, and until when."""

    __slots__ = ("_clock", "_values")

    def __init__(self, values: Mapping[str, str], clock: Callable[[], float] = time.time) -> None:
        """``values`` are those of the request; ``clock`` tells seconds since the epoch."""
        self._values = values
        self._clock = clock

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
        """When the activation ends, in milliseconds since the epoch; None if not known."""
        try:
            return int(self._values["deadline"])
        except (KeyError, ValueError):
            return None

    def remaining_time(self) -> float:
        """Seconds left, never less than 0; infinite without a deadline."""
        deadline = self.deadline
        if deadline is None:
            return math.inf
        return max(0.0, deadline / 1000 - self._clock())

    def __repr__(self) -> str:
        return f"<Context of {self.action_name or 'an action'} {self.activation_id}>"
