"""
Read JSON that a stranger sent, and that is sent on as JSON.

Pure. The tools of agents and the API of the gateway read by it.
"""

from __future__ import annotations

import json
import math
from typing import Any


def json_value(text: str | bytes) -> Any:
    """
    Return the value of a JSON text.

    Raises:
        ValueError: it is not JSON, or has a number that is too large for a double.
        RecursionError: it is nested too deeply.
    """
    return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _finite(text: str) -> float:
    """Return a number. One that is too large for a double could not be sent on as JSON."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large for a number")
    return number
