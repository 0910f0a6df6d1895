"""Keep descriptors free for connections: clients may open many, and send nothing on them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

REQUEST_SECONDS: Final = 30
"""
Seconds between two looks at all connections. One that waits for a request at both is closed.

So a connection without a whole head of a request is closed after 30 to 60 seconds. After an answer,
uvicorn itself closes a connection on which nothing comes for 5 seconds.
"""


class IdleConnections:
    """Closes those of uvicorn's ``connections`` on which no request comes."""

    def __init__(self, connections: Collection[Any]) -> None:
        self._connections = connections
        self._waiting: dict[Any, object] = {}
        """The connections that waited for a request, with the last one that they had."""

    def close(self) -> None:
        """Close those that have waited for a request since the last call."""
        waiting = {each: each.cycle for each in self._connections if _waits(each)}
        for each, last in waiting.items():
            if each in self._waiting and self._waiting[each] is last:
                each.shutdown()
        self._waiting = waiting


def _waits(connection: Any) -> bool:
    """Return whether a connection has no request that is being read or answered."""
    return connection.cycle is None or connection.cycle.response_complete
