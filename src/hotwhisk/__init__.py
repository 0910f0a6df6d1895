"""
hotwhisk: an action server that replaces itself.

``start(handler)`` at the end of a file makes the file a server; ``Context`` is the type of a
handler's second parameter. Both are loaded when they are used: ``import hotwhisk`` is on
the way to the open port, and in every action that uses it.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["Context", "__version__", "start"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.context import Context
    from hotwhisk.launch import start


def __getattr__(name: str) -> object:
    if name == "start":
        from hotwhisk.launch import start

        return start
    if name == "Context":
        from hotwhisk.context import Context

        return Context
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
