"""What `hotwhisk.worker.connections` calls to have a request answered."""

from __future__ import annotations

from typing import Protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.http1.http1 import Request
    from hotwhisk.worker.connection import Connection


class Answerer(Protocol):
    """Answers requests. Both methods return whether the next one can be read."""

    def answer(self, connection: Connection, request: Request) -> bool:
        """Answer a request."""

    def end_interrupted(self, connection: Connection, error: BaseException) -> bool:
        """Answer a request whose run or response an exception in our own code broke off."""
