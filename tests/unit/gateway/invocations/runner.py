"""A runner of calls whose actions are functions of this process; records go into a real store."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from hotwhisk.gateway.invocations import compositions, sequences
from hotwhisk.gateway.invocations.call import Call, Counted
from hotwhisk.gateway.invocations.resolve import Resolved, resolve
from hotwhisk.gateway.store.activations import StoredActivation
from hotwhisk.gateway.store.namespaces import Namespace
from hotwhisk.gateway.store.store import Store
from hotwhisk.platform import Names

LIMITS = {"timeout": 60_000, "memory": 256, "logs": 10, "concurrency": 1}
CALLER = Namespace("guest", "uuid", "key")


class FunctionRunner:
    """Runs sequences and compositions of functions."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.names: list[str] = []
        """The actions with code that ran, in their order."""
        self._functions: dict[str, Callable[[Any], Any]] = {}

    def add(self, name: str, function: Callable[[Any], Any], **annotations: object) -> None:
        """Store an action that is a function."""
        self._functions[name] = function
        self._put(name, {"kind": "python:3"}, annotations)

    def add_sequence(self, name: str, *components: str) -> None:
        """Store a sequence of actions of the namespace guest."""
        paths = [f"/guest/{each}" for each in components]
        self._put(name, {"kind": "sequence", "components": paths}, {})

    def _put(self, name: str, executable: dict[str, Any], annotations: dict[str, object]) -> None:
        document = {
            "exec": executable, "parameters": [], "limits": LIMITS, "publish": False,
            "annotations": [{"key": key, "value": value} for key, value in annotations.items()],
        }  # fmt: skip
        self.store.actions.put(("guest", "", name), document, None)

    def invoke(self, name: str, argument: object) -> StoredActivation:
        """Call an action by its name."""
        found = resolve(self.store, ("guest", "", name))
        assert found is not None
        return self.run(self.new_call(CALLER, found, argument))

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
        names = Names(secrets.token_hex(16), "transaction", caller.name)
        return Call(caller, resolved, argument, names, cause, counted or Counted())

    def run(self, call: Call) -> StoredActivation:
        """Run a call of any action, and store its record."""
        if call.resolved.action.components is not None:
            activation = sequences.run(self, call)
        elif compositions.is_conductor(call.resolved):
            activation = compositions.run(self, call)
        else:
            return self.run_code(call)
        self.store.activations.add(activation)
        return activation

    def run_code(self, call: Call) -> StoredActivation:
        """Run a function, and store its record."""
        action = call.resolved.action
        self.names.append(action.name)
        result = self._functions[action.name](call.event)
        failed = isinstance(result, dict) and "error" in result
        response = {"statusCode": int(failed), "success": not failed, "result": result}
        activation = call.completed(
            {
                "namespace": "guest", "name": action.name, "activationId": call.id, "start": 1,
                "duration": 2, "response": response, "logs": [],
                "annotations": [{"key": "limits", "value": LIMITS}],
            }
        )  # fmt: skip
        self.store.activations.add(activation)
        return activation
