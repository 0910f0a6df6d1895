"""Put the traceback of a failed call into its answer."""

from __future__ import annotations

from typing import Any, Final

_BEGIN: Final = "Traceback (most recent call last):"
_STAMP: Final = 31
"""Characters of a line of a record before the name of the stream."""
_STREAM: Final = "stderr:"


def add_traceback(record: dict[str, Any]) -> None:
    """Add the last traceback of the log to the text of the error, if there are both."""
    result = record["response"].get("result")
    if not isinstance(result, dict) or not isinstance(result.get("error"), str):
        return
    found = last_traceback(record["logs"])
    if found:
        record["response"]["result"] = {**result, "error": f"{result['error']}\n\n{found}"}


def last_traceback(logs: list[str]) -> str:
    """Return the last traceback in the log of a record, or an empty text."""
    lines = [line[_STAMP:] for line in logs]
    errors = [line.removeprefix(_STREAM)[1:] for line in lines if line.startswith(_STREAM)]
    begins = [at for at, line in enumerate(errors) if line == _BEGIN]
    return "\n".join(errors[begins[-1] :]) if begins else ""
