"""One call of an action, and what runs it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Protocol

from hotwhisk.gateway.invocations.resolve import Resolved, annotation
from hotwhisk.gateway.store.activations import StoredActivation
from hotwhisk.gateway.store.namespaces import Namespace
from hotwhisk.gateway.store.store import Store
from hotwhisk.platform import Action, Limits, Names


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
        """The argument with the defaults. An array is sent alone, and a sequence has none."""
        if isinstance(self.argument, dict) and self.resolved.action.components is None:
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

    @property
    def version(self) -> tuple[int, str]:
        """What a server must have been initialised with to run this call."""
        variables = json.dumps(self.resolved.variables, sort_keys=True)
        return self.resolved.action.revision, f"{self._key or ''} {variables}"

    @property
    def limits(self) -> Limits:
        """The limits of the action, as the invoker takes them."""
        document = self.resolved.action.document["limits"]
        return Limits(
            timeout=document["timeout"],
            memory=document["memory"],
            logs=document["logs"],
            concurrency=document["concurrency"],
        )

    def action(self, code: str | None) -> Action:
        """Return the action as the invoker takes it."""
        stored = self.resolved.action
        program = stored.document["exec"]
        return Action(
            stored.local_path,
            code,
            main=program.get("main") or "main",
            namespace=stored.namespace,
            version=stored.version,
            kind=program["kind"],
            init_parameters=self.resolved.variables,
            limits=self.limits,
            api_key=self._key,
        )

    def completed(self, record: dict[str, Any]) -> StoredActivation:
        """Return the activation of a record, with by whom and by which name it was called."""
        if self.cause is not None:
            record["cause"] = self.cause
            annotate(record, "causedBy", "sequence")
        if self.resolved.binding:
            annotate(record, "binding", self.resolved.binding)
        return StoredActivation(record, self.event, self.resolved.action.revision, self.package)

    @property
    def _key(self) -> str | None:
        """The key that the action gets, if its annotation asks for it."""
        wants = annotation(self.resolved.action.document["annotations"], "provide-api-key")
        return self.caller.auth if wants is True else None


class Runner(Protocol):
    """What an activation that is made of others needs to run them."""

    @property
    def store(self) -> Store:
        """Where records are kept."""

    def new_call(
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


def annotate(record: dict[str, Any], key: str, value: object) -> None:
    """Add an annotation to the record of an activation."""
    record["annotations"].append({"key": key, "value": value})
