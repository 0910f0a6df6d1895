"""
Step through a generator of the action, and close it. Code of the action runs here.

A generator may be one of ``def`` or of ``async def``. An asynchronous one behind a synchronous
handler is run as an awaitable of such a handler is: each step to its end, in a loop of its own.
"""

from __future__ import annotations

from types import GeneratorType, coroutine

from hotwhisk.action.signal_guard import enters_action
from hotwhisk.worker.event_loop import run_to_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Final

    from hotwhisk.openwhisk.part_forms import Parts

END: Final[object] = object()
"""What stands for the next part of a generator that has returned."""


@enters_action
def next_part(parts: Parts) -> object:
    """Return the next part, or `END`; raise what the action raises."""
    if isinstance(parts, GeneratorType):
        return next(parts, END)
    return run_to_end(next_part_async(parts))


@enters_action
def close_parts(parts: Parts) -> None:
    """Close a generator: where it stands, GeneratorExit is raised, unless it has ended."""
    if isinstance(parts, GeneratorType):
        parts.close()
    else:
        run_to_end(close_parts_async(parts))


@enters_action
async def next_part_async(parts: Parts) -> object:
    """Return the next part, or `END`; raise what the action raises."""
    if isinstance(parts, GeneratorType):
        return next(parts, END)
    return await anext(parts, END)  # type: ignore[arg-type]


@enters_action
async def close_parts_async(parts: Parts) -> None:
    """Close a generator: where it stands, GeneratorExit is raised, unless it has ended."""
    if isinstance(parts, GeneratorType):
        parts.close()
    else:
        await parts.aclose()  # type: ignore[union-attr]


@coroutine
def pause() -> Generator[None]:
    """Let the other tasks of the loop run once."""
    yield
