"""
The C library of this process, for the calls that Python does not offer.

It is opened once, before any fork. Each opening makes a class of its own, which a worker would pay
for at its start.
"""

from __future__ import annotations

import ctypes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


LIBC: Final = ctypes.CDLL(None, use_errno=True)
