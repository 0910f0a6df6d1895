"""Build an action into one file that serves itself."""

from __future__ import annotations

from hotwhisk.build.builder import BuildOptions, Built, build

__all__ = ["BuildOptions", "Built", "build"]
