"""Take the events of the platform one after the other, and post what becomes of them."""

from __future__ import annotations

import sys

from hotwhisk.aws_lambda.failure import Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from hotwhisk.aws_lambda.function_client import FunctionClient
    from hotwhisk.aws_lambda.runtime_api import Invocation, RuntimeApi


class InvocationLoop:
    """
    Moves events from the platform to the function, one at a time.

    There is one loop for each event that the platform may have open. ``restored`` says whether the
    process is a copy of a snapshot.
    """

    def __init__(self, api: RuntimeApi, function: FunctionClient, *, restored: bool) -> None:
        self._api = api
        self._function = function
        self._restored = restored

    def run(self) -> NoReturn:
        """
        Handle events.

        Raises:
            ServerError: there are no events any more.
        """
        while True:
            self.handle(self._api.next())

    def handle(self, invocation: Invocation) -> None:
        """
        Have one event handled, and post the result or the error.

        Raises:
            ServerError: the platform cannot be reached.
        """
        outcome = self._function.handle(invocation, restored=self._restored)
        if isinstance(outcome, Failure):
            problem = self._api.fail(invocation, outcome)
        else:
            problem = self._api.respond(invocation, outcome.body, outcome.content_type)
        if problem:
            sys.stderr.write(f"hotwhisk: event {invocation.request_id}: {problem}\n")
