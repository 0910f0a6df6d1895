"""
Build an action into one file that serves itself.
"""

from __future__ import annotations

from hotwhisk.build.builder import Manifest, build

__all__ = ["Manifest", "build"]
