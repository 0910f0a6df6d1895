"""Put the traceback of a failed call into its answer."""

from __future__ import annotations

from typing import Any, Final

from hotwhisk.platform.logs import stream_and_text

_BEGIN: Final = "Traceback (most recent call last):"


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
    lines = map(stream_and_text, logs)
    errors = [text for stream, text in lines if stream == "stderr"]
    begins = [at for at, line in enumerate(errors) if line == _BEGIN]
    return "\n".join(errors[begins[-1] :]) if begins else ""
