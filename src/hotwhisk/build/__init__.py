"""Build an action into one file that serves itself."""

from __future__ import annotations

from hotwhisk.build.builder import Built, Order, build

__all__ = ["Built", "Order", "build"]
