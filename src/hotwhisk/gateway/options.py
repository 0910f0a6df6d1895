"""
Declare every option of ``hotwhisk up`` once, and make the settings of them.

A flag wins over its variable, a variable over the default. The reference page, ``--help`` and the
settings use the same table.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from hotwhisk.config.option import UP_PREFIX, Option, count, port, seconds, switch, text, words
from hotwhisk.config.suggestions import nearest
from hotwhisk.errors import UsageError
from hotwhisk.gateway.log import LogFormat
from hotwhisk.gateway.settings import DEFAULT_PORT, Settings, default_data

_HOUR: Final = 3600.0
_FIELD_OF: Final = {"name": "names"}
"""The fields of `Settings` that have another name than their option."""


class UpOption(Option):
    """An option of ``hotwhisk up``, whose variable begins with ``HOTWHISK_UP_``."""

    __slots__ = ()
    prefix = UP_PREFIX


def age(raw: str) -> float:
    """Return a time above zero in seconds; its unit may also be ``h`` or ``d``."""
    for unit, worth in (("h", _HOUR), ("d", 24 * _HOUR)):
        if raw.endswith(unit):
            return seconds(raw.removesuffix(unit)) * worth
    return seconds(raw)


def log_format(raw: str) -> LogFormat:
    """Return the form of the log's lines."""
    try:
        return LogFormat(raw)
    except ValueError:
        raise ValueError("text or json") from None


DATA: Final = UpOption(
    "data", "FOLDER", text,
    "folder of the database, readable by its owner alone (default: $XDG_DATA_HOME/hotwhisk)",
)  # fmt: skip
OPTIONS: Final = (
    UpOption("host", "ADDRESS", text, "address to listen on", default="127.0.0.1"),
    UpOption("port", "PORT", port, "port to listen on; 0 takes any free one",
             default=str(DEFAULT_PORT)),
    DATA,
    UpOption("name", "NAMES", words,
             "host names by which clients reach this machine, such as that of a proxy before it"),
    UpOption("idle_timeout", "SECONDS", seconds,
             "how long the server of an action is kept after its last call", default="600"),
    UpOption("drain_timeout", "SECONDS", seconds,
             "how long a stop waits for the activations that are running", default="25"),
    UpOption("most_servers", "N", count,
             "servers of all actions together; for one more, the one that is idle longest ends",
             default="64"),
    UpOption("most_servers_per_action", "N", count,
             "servers of one action for one namespace; a call beyond them waits", default="8"),
    UpOption("most_activations", "N", count,
             "activations that are kept; the oldest are removed", default="100000"),
    UpOption("activation_age", "TIME", age,
             "how long an activation is kept, such as 12h or 7d", default="7d"),
    UpOption("log_format", "FORMAT", log_format, "form of the log's lines: text or json",
             default="text"),
    UpOption("log_requests", "", switch, "write a line to the log for each request",
             default="no"),
    UpOption("wskprops", "", switch,
             "write address and key to $WSK_CONFIG_FILE or ~/.wskprops, where wsk finds them",
             default="no"),
    UpOption("open", "", switch, "open the page in the browser", default="no"),
)  # fmt: skip
"""What ``hotwhisk up`` takes."""


def read_settings(given: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
    """
    Return the settings; ``given`` has the texts of the flags, by the names of the options.

    Raises:
        UsageError: a value has not the expected form; the text names its flag or variable.
    """
    values: dict[str, Any] = {
        _FIELD_OF.get(option.name, option.name): read(option, given.get(option.name), environ)
        for option in OPTIONS
    }
    values["data"] = data_folder(given.get("data"), environ)
    return Settings(**values, is_default_data=values["data"] == default_data(environ))


def data_folder(given: str | None, environ: Mapping[str, str]) -> str:
    """Return the folder of data as an absolute path."""
    named = read(DATA, given, environ)
    return os.path.abspath(os.path.expanduser(str(named))) if named else default_data(environ)


def read(option: Option, given: str | None, environ: Mapping[str, str]) -> Any:
    """Return the value of one option: of the flag, of the variable, or the default."""
    reader: Callable[[str], object] = option.read
    raw, source = given, option.flag
    if raw is None:
        raw, source = environ.get(option.variable) or option.default, option.variable
    try:
        return reader(raw)
    except ValueError as error:
        raise UsageError(f'{source}: expected {error}, got "{raw}"') from None


def warnings(environ: Mapping[str, str]) -> list[str]:
    """Return a text for each variable that is probably mistyped."""
    known = [option.variable for option in OPTIONS]
    unknown = {name for name in environ if name.startswith(UP_PREFIX)} - {*known}
    return [f"unknown variable {name} is ignored{nearest(name, known)}" for name in sorted(unknown)]
