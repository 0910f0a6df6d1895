"""Explain answers of web actions that do not say by themselves what is wrong."""

from __future__ import annotations

from typing import Final

from hotwhisk.gateway.dev.last_traceback import last_traceback
from hotwhisk.gateway.dev.terminal import Terminal
from hotwhisk.gateway.dev.web_paths import Answered
from hotwhisk.gateway.gateway import Gateway
from hotwhisk.gateway.settings import DEFAULT_NAMESPACE

_EMPTY: Final = 204
_SENT: Final = {"body", "statusCode"}
"""What a result has that was meant as an answer."""


class Explanations:
    """Knows what has happened in the default namespace of a gateway."""

    def __init__(self, gateway: Gateway, terminal: Terminal) -> None:
        self._gateway = gateway
        self._terminal = terminal

    def explain(self, answered: Answered) -> str:
        """
        Return the text to send in place of an answer, or an empty text.

        An answer that is empty since the result has no body is kept; the terminal says why.
        """
        action, status = answered.action, answered.status
        found = self._gateway.store.activations.get(DEFAULT_NAMESPACE, answered.activation)
        if found is None:
            return self._problem(action) if status >= 400 else ""
        if status >= 400:
            return last_traceback(found.record["logs"])
        result = found.record["response"].get("result")
        if status == _EMPTY and isinstance(result, dict) and not result.keys() & _SENT:
            self._terminal.say(
                f"{action} was answered 204 and empty: the result has no body; "
                f"/{action}.json shows it"
            )
        return ""

    def _problem(self, action: str) -> str:
        """Return why an action is not there, or an empty text."""
        problem = self._gateway.problems.get(DEFAULT_NAMESPACE, action)
        return f"{problem.title}\n\n{problem.text}\n" if problem else ""
