"""Keep the problems that every page of a namespace shows, such as a version that does not load."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from hotwhisk.gateway.changes import Changes


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of an action: a line that says what is wrong with it, and a longer text below."""

    action: str
    title: str
    text: str = ""


class Problems:
    """The problems that last, in memory: at most one for each action. Any thread may use it."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._lock = threading.Lock()
        self._problems: dict[tuple[str, str], Problem] = {}

    def show(self, namespace: str, problem: Problem) -> None:
        """Show a problem over the page, in place of an earlier one of the same action."""
        with self._lock:
            self._problems[namespace, problem.action] = problem
        self._changes.publish(namespace)

    def clear(self, namespace: str, action: str) -> None:
        """Remove the problem of an action, if it has one."""
        with self._lock:
            found = self._problems.pop((namespace, action), None)
        if found is not None:
            self._changes.publish(namespace)

    def get(self, namespace: str, action: str) -> Problem | None:
        """Return the problem of an action, or None."""
        with self._lock:
            return self._problems.get((namespace, action))

    def of(self, namespace: str) -> list[Problem]:
        """Return the problems of a namespace."""
        with self._lock:
            return [each for (name, _), each in self._problems.items() if name == namespace]
