"""
Test an action with pytest: on a real server, or in the test's own process.

`hotwhisk.testing.plugin` has the fixtures ``serve_action`` and ``call_handler``. pytest loads it
in each of its runs, so this package imports nothing before a fixture or a name is used. The names
here are the types of what the fixtures give.
"""

from __future__ import annotations

__all__ = ["Activation", "CallHandler", "ServeAction", "ServedAction"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.testing.call_handler import CallHandler
    from hotwhisk.testing.serve_action import Activation, ServeAction, ServedAction


def __getattr__(name: str) -> object:
    if name == "CallHandler":
        from hotwhisk.testing.call_handler import CallHandler

        return CallHandler
    if name in __all__:
        from hotwhisk.testing import serve_action

        return getattr(serve_action, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
