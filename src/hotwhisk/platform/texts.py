"""Return the platform's texts for the user of an action, to the letter."""

from __future__ import annotations

from typing import Final

SENTINEL: Final = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
MEMORY_EXHAUSTED: Final = "The action exhausted its memory and was aborted."
NO_INIT_RESPONSE: Final = "The action did not initialize and exited unexpectedly."
NO_RUN_RESPONSE: Final = "The action did not produce a valid response and exited unexpectedly."
LOGS_INCOMPLETE: Final = "There was an issue while collecting your logs. Data might be missing."
LOGS_AFTER_ERROR: Final = (
    "The action did not initialize or run as expected. Log data might be missing."
)
UNHEALTHY: Final = "The container is shutting down or cannot be reached."
"""Our own words: the platform does not show this and calls another container."""


def time_limit_exceeded(milliseconds: int, *, during_init: bool) -> str:
    """Return the text for an ``/init`` or a ``/run`` that took as long as the action may run."""
    tail = " during initialization." if during_init else "."
    return f"The action exceeded its time limits of {milliseconds} milliseconds{tail}"


def failed_init(body: str) -> str:
    """Return the text for an ``/init`` that failed without an error that could be shown."""
    return f"The action failed during initialization: {body}"


def bad_run(body: str) -> str:
    """Return the text for a ``/run`` whose answer is neither an object nor an array."""
    return f"The action did not produce a valid JSON or JSON Array response: {body}"


def truncated(begin: str, length: int, limit: int) -> str:
    """Return the text for an answer that is longer than the platform takes."""
    return (
        f"The action produced a response that exceeded the allowed length: {length} > {limit} "
        f"bytes. The truncated response was: {begin}"
    )


def logs_truncated(limit: int) -> str:
    """Return the line for a log that is longer than the action may write."""
    return f"Logs were truncated because the total bytes size exceeds the limit of {limit} bytes."
