"""List and call the actions of a namespace as tools."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from starlette.concurrency import run_in_threadpool

from hotwhisk.gateway.api.errors import NOT_ALLOWED, ApiError
from hotwhisk.gateway.api.invoking import finished
from hotwhisk.gateway.gateway import Gateway
from hotwhisk.gateway.invocations.resolve import Resolved, with_parameters
from hotwhisk.gateway.mcp.descriptions import Descriptions
from hotwhisk.gateway.problems import Problem
from hotwhisk.gateway.store.actions import StoredAction
from hotwhisk.gateway.store.activations import StoredActivation
from hotwhisk.gateway.store.namespaces import Namespace
from hotwhisk.mcp.tools import Tool, ToolResult, UnknownTool, note, tool_name
from hotwhisk.platform.logs import stream_and_text

_LOG: Final = "The log of the call:"


class ActionTools:
    """The tools for one request of a caller. ``transaction`` is the identifier of the request."""

    def __init__(
        self, gateway: Gateway, descriptions: Descriptions, caller: Namespace, transaction: str
    ) -> None:
        self._gateway = gateway
        self._descriptions = descriptions
        self._caller = caller
        self._transaction = transaction

    async def list(self) -> Sequence[Tool]:
        """Return a tool for each action of the namespace, by name."""
        return await run_in_threadpool(self._list)

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolResult:
        """Call an action, and wait for its end, which its time limit bounds."""
        found = await run_in_threadpool(self._find, name)
        if isinstance(found, Problem):
            return ToolResult(found.title, error=True, notes=_notes(found))
        if found.final & arguments.keys():
            return ToolResult(NOT_ALLOWED, error=True)
        invocations = self._gateway.invocations
        call = invocations.new_call(self._caller, found, arguments, transaction=self._transaction)
        try:
            activation = await finished(invocations, call, math.inf)
        except ApiError as error:  # too many calls
            return ToolResult(error.text, error=True)
        assert activation is not None, "it was waited for without a limit"
        problem = self._gateway.problems.get(self._caller.name, found.action.local_path)
        return _result(activation, problem)

    def _list(self) -> Sequence[Tool]:
        store = self._gateway.store
        tools = []
        for name, action in self._named().items():
            described = self._descriptions.describe(store, with_parameters(store, action))
            tools.append(Tool(name, described.text, described.schema))
        return tools

    def _named(self) -> dict[str, StoredAction]:
        """
        Return the actions by the names of their tools, in the order of these.

        Of two actions with one name, that is the tool whose own name it is, else the first.
        """
        found: dict[str, StoredAction] = {}
        for action in self._gateway.store.actions.list(self._caller.name):
            name = tool_name(action.local_path)
            before = found.setdefault(name, action)
            if _rank(action, name) < _rank(before, name):
                found[name] = action
        return dict(sorted(found.items()))

    def _find(self, name: str) -> Resolved | Problem:
        """
        Return the action of a tool, or why there is none yet.

        Raises:
            UnknownTool: there is no such action.
        """
        store, owner = self._gateway.store, self._caller.name
        action = None
        if tool_name(name) == name:
            action = store.actions.get((owner, "", name)) or self._named().get(name)
        if action is not None:
            return with_parameters(store, action)
        for problem in self._gateway.problems.of(owner):
            if tool_name(problem.action) == name:
                return problem
        raise UnknownTool


def _rank(action: StoredAction, name: str) -> tuple[bool, str]:
    return action.local_path != name, action.local_path


def _result(activation: StoredActivation, problem: Problem | None) -> ToolResult:
    response = activation.record["response"]
    value, notes = response["result"], _notes(problem)
    if response["statusCode"] == 0:
        return ToolResult(value, notes=notes)
    if isinstance(value, dict) and value.keys() == {"error"}:
        value = value["error"]
    printed = "\n".join(stream_and_text(line)[1] for line in activation.record["logs"]).strip()
    if printed and printed not in str(value):
        notes = (note(_LOG, printed), *notes)
    return ToolResult(value, error=True, notes=notes)


def _notes(problem: Problem | None) -> tuple[str, ...]:
    """Return why the last version of an action is not the one that answers."""
    return () if problem is None else (note(problem.title, problem.text),)
