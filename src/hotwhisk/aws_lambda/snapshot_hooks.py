"""
Run what a function has registered around a snapshot of SnapStart.

Functions register it by the package ``snapshot-restore-py``. If a function has not imported that,
it has registered nothing.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    Hook = tuple[Any, tuple[Any, ...], dict[str, Any]]

_PACKAGE: Final = "snapshot_restore_py"


def run_before_snapshot() -> None:
    """Call what is registered to run before the snapshot, the latest first."""
    for function, values, named in reversed(_registered("get_before_snapshot")):
        function(*values, **named)


def run_after_restore() -> None:
    """Seed the generators of random numbers again, then call what is registered."""
    seed_again()
    for function, values, named in _registered("get_after_restore"):
        function(*values, **named)


def seed_again() -> None:
    """
    Seed the global generators of random numbers of Python and numpy.

    Otherwise all copies of a snapshot would draw the same numbers.
    """
    for name in ("random", "numpy.random"):
        seed = getattr(sys.modules.get(name), "seed", None)
        if seed is not None:
            seed()


def _registered(getter: str) -> list[Hook]:
    get = getattr(sys.modules.get(_PACKAGE), getter, None)
    return [] if get is None else list(get())
