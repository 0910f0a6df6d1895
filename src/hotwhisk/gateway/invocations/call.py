"""One call of an action, and what runs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from hotwhisk.gateway.invocations.resolve import Resolved
from hotwhisk.gateway.store.activations import StoredActivation
from hotwhisk.gateway.store.namespaces import Namespace
from hotwhisk.gateway.store.store import Store
from hotwhisk.platform import Names


@dataclass(slots=True)
class Counted:
    """
    What a sequence or a composition and its parts of the same sort have run so far.

    There is a limit for each: of a sequence for the actions with code, of a composition for its
    components and for the calls of its conductors.
    """

    actions: int = 0
    sequences: int = 0
    conductors: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """
    One call of an action.

    ``caller`` is the namespace for which it runs. ``argument`` is what was sent, without the
    defaults. ``cause`` is the activation of the sequence of which this is a part, and ``counted``
    what that one and its parts have run.
    """

    caller: Namespace
    resolved: Resolved
    argument: object = field(hash=False)
    names: Names
    cause: str | None = None
    counted: Counted = field(default_factory=Counted, hash=False)

    @property
    def event(self) -> object:
        """The argument with the defaults. An array is sent alone."""
        if isinstance(self.argument, dict):
            return {**self.resolved.parameters, **self.argument}
        return self.argument

    @property
    def id(self) -> str:
        """The identifier of the activation."""
        return self.names.activation

    @property
    def package(self) -> str:
        """The package under which the action was called, or empty."""
        return self.resolved.binding.rpartition("/")[2] or self.resolved.action.package


class Runner(Protocol):
    """What an activation that is made of others needs to run them."""

    @property
    def store(self) -> Store:
        """Where records are kept."""

    def call(
        self,
        caller: Namespace,
        resolved: Resolved,
        argument: object,
        *,
        cause: str | None = None,
        counted: Counted | None = None,
    ) -> Call:
        """Return a call with a fresh activation id."""

    def run(self, call: Call) -> StoredActivation:
        """Run a call of any action, and store its record."""

    def run_code(self, call: Call) -> StoredActivation:
        """Run a call of an action with code, and store its record."""
