"""The names of what the server says in a log of JSON, each with its level."""

from __future__ import annotations

from enum import StrEnum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

INFO, WARNING, ERROR = "INFO", "WARNING", "ERROR"


class LogEvent(StrEnum):
    """What a line of the server is about. docs/logs.md lists the names for users."""

    level: str
    """How grave it is: `INFO`, `WARNING` or `ERROR`."""

    def __new__(cls, name: str, level: str = INFO) -> Self:
        """Make a member that is a string, its name in the log."""
        member = str.__new__(cls, name)
        member._value_, member.level = name, level
        return member

    READY = "ready"
    HOSTS = "hosts"
    ADMIN = "admin"
    PRELOADED = "preloaded"
    PROBATION_PASSED = "probation-passed"
    CURRENT = "current"
    FIRST_VERSION = "first-version"
    TOKEN = "token"  # noqa: S105 - the name of an event
    STOPPING = "stopping"
    TRIAL = "trial"
    HISTORY_LOST = "history-lost", WARNING
    LEFT_OUT = "left-out", WARNING
    LOG_LOST = "log-lost", WARNING
    NO_TEMPLATE = "no-template", WARNING
    NOT_RELOADED = "not-reloaded", WARNING
    NOTIFY_FAILED = "notify-failed", WARNING
    REFUSED = "refused", WARNING
    RETRY = "retry", WARNING
    STILL_LOADING = "still-loading", WARNING
    SYSTEM_REFUSED = "system-refused", WARNING
    TOKEN_KEPT = "token-kept", WARNING
    UNKNOWN_VARIABLE = "unknown-variable", WARNING
    WATCH_ENDED = "watch-ended", WARNING
    WORKER_ENDED = "worker-ended", WARNING
    BUG = "bug", ERROR
    CRASH_LOOP = "crash-loop", ERROR
    DIED = "died", ERROR
    LOAD_FAILED = "load-failed", ERROR
    NOT_STARTED = "not-started", ERROR
    PROBATION_FAILED = "probation-failed", ERROR
    ROLLBACK_FAILED = "rollback-failed", ERROR
