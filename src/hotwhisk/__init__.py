"""
hotwhisk: an action server that replaces itself.

``start(handler)`` at the end of a file makes the file a server; ``@on_startup`` marks a function
that each worker calls before its first request; ``Context`` is the type of a handler's second
parameter. All are loaded when they are used: ``import hotwhisk`` is on the way to the open port,
and in every action that uses it.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["Context", "__version__", "on_startup", "start"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.launch import start
    from hotwhisk.openwhisk.context import Context
    from hotwhisk.registration import on_startup


def __getattr__(name: str) -> object:
    if name == "start":
        from hotwhisk.launch import start

        return start
    if name == "on_startup":
        from hotwhisk.registration import on_startup

        return on_startup
    if name == "Context":
        from hotwhisk.openwhisk.context import Context

        return Context
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
