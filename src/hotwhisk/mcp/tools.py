"""Describe tools and the results of their calls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

LONGEST_NAME: Final = 128
"""Most characters of the name of a tool. Source: docs/specification/2026-07-28/server/tools.mdx."""
LONGEST_NOTE: Final = 16_000
"""Most characters of a text for the agent beside the result: it pays for each of them."""

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool: its name, what it does, and the JSON Schema of the object that it takes."""

    name: str
    description: str
    schema: dict[str, Any] = field(hash=False)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """
    What came of a call: any JSON value.

    ``notes`` are texts for the agent beside it, such as why the last version was refused. If the
    call is an ``error``, the value says what went wrong.
    """

    value: Any = field(hash=False)
    error: bool = False
    notes: tuple[str, ...] = ()


class UnknownTool(Exception):
    """There is no tool of that name."""


class Tools(Protocol):
    """The tools that a client may call."""

    async def list(self) -> Sequence[Tool]:
        """Return all tools, in an order that does not change."""

    async def call(self, name: str, arguments: dict[str, Any]) -> ToolResult:
        """
        Call a tool.

        Raises:
            UnknownTool: there is none of that name.
        """


def tool_name(action: str) -> str:
    """
    Return the name of an action's tool.

    Many clients take letters, digits, ``_`` and ``-`` only, so every other character becomes ``_``.
    """
    return _NOT_IN_NAMES.sub("_", action)[:LONGEST_NAME]


def note(title: str, text: str) -> str:
    """Return a note of a title and a text below it, of which the end is kept if it is too long."""
    return f"{title}\n\n{text.strip()[-LONGEST_NOTE:]}".rstrip()
