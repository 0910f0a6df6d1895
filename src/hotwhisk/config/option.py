"""
Describe an option, and turn its text into a value by a reader.

A reader raises ValueError with the expected form; its caller adds the flag or variable. This module
imports nothing, because it is needed before the port is open.
"""

from __future__ import annotations

TYPE_CHECKING = False  # the real one would import typing, 3 ms before the port is open
if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX = "HOTWHISK_"
UP_PREFIX = "HOTWHISK_UP_"
"""The prefix of the variables of ``hotwhisk up``; ``hotwhisk serve`` leaves them alone."""


class Option:
    """One option: flag, variable, meaning, and the default in each profile, as text."""

    __slots__ = ("also", "default", "help", "metavar", "name", "openwhisk", "read")
    prefix = PREFIX

    def __init__(  # noqa: PLR0913  # one row of the table, its rare columns by keyword
        self,
        name: str,
        metavar: str,
        read: Callable[[str], object],
        help: str,
        *,
        default: str = "",
        openwhisk: str | None = None,
        also: str | None = None,
    ) -> None:
        self.name = name
        self.metavar = metavar
        self.read = read
        self.help = help
        self.default = default
        self.openwhisk = default if openwhisk is None else openwhisk
        self.also = also

    @property
    def flag(self) -> str:
        """The flag, such as ``--init-timeout``."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The variable, such as ``HOTWHISK_INIT_TIMEOUT``."""
        return self.prefix + self.name.upper()

    @property
    def is_switch(self) -> bool:
        """Whether the flag stands alone, without a value."""
        return self.read is switch

    @property
    def is_list(self) -> bool:
        """Whether the flag may be repeated."""
        return self.read is words


class Bounds:
    """A least and a most number. Its text is ``1..8``, or ``4`` if both are 4."""

    __slots__ = ("least", "most")

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bounds) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash((self.least, self.most))

    def __str__(self) -> str:
        return f"{self.least}" if self.least == self.most else f"{self.least}..{self.most}"


class ProbationLimit:
    """How long a probation lasts: ``60s``, or ``500r``, a number of requests."""

    __slots__ = ("requests", "seconds")

    def __init__(self, seconds: float = 0.0, requests: int = 0) -> None:
        self.seconds = seconds
        self.requests = requests

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProbationLimit) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return f"{self.requests}r" if self.requests else f"{self.seconds:g}s"

    def is_reached(self, seconds: float, requests: int) -> bool:
        """Return whether a probation is over after so many seconds and requests."""
        return requests >= self.requests if self.requests else seconds >= self.seconds


class Address:
    """
    Where a server listens: a host and a port, or the path of a unix socket.

    Its text is ``127.0.0.1:9090``, ``[::1]:9090`` or ``unix:/run/a.sock``.
    """

    __slots__ = ("host", "path", "port")

    def __init__(self, host: str, port: int, path: str = "") -> None:
        self.host = host
        self.port = port
        self.path = path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def text(raw: str) -> str | None:
    """Return any text; None for an empty one."""
    return raw or None


def words(raw: str) -> tuple[str, ...]:
    """Return the words of a text with commas between them."""
    return tuple(word for part in raw.split(",") if (word := part.strip()))


def switch(raw: str) -> bool:
    """Return the value of a yes or a no."""
    if raw.lower() in ("1", "true", "yes", "on"):
        return True
    if raw.lower() in ("", "0", "false", "no", "off"):
        return False
    raise ValueError("yes or no")


def log_format(raw: str) -> str:
    """Return the form of the log's lines."""
    if raw in ("text", "json"):
        return raw
    raise ValueError("text or json")


def port(raw: str) -> int:
    """Return a TCP port; with 0 the kernel chooses one."""
    if raw.isascii() and raw.isdigit() and int(raw[:9]) <= 65535 and len(raw) < 9:
        return int(raw)
    raise ValueError("a port from 0 to 65535")


def maybe_address(raw: str) -> Address | None:
    """Return an address: ``HOST:PORT``, a port of loopback, ``unix:PATH``; None for no text."""
    if not raw:
        return None
    if raw.startswith("unix:") and len(raw) > len("unix:"):
        return Address("", 0, raw.removeprefix("unix:"))
    host, colon, number = raw.rpartition(":")
    in_brackets = host.startswith("[") and host.endswith("]")
    if host == "localhost" or not colon:
        host = "127.0.0.1"  # not what a resolver makes of the name
    if host and (in_brackets or ":" not in host):
        try:
            return Address(host[1:-1] if in_brackets else host, port(number))
        except ValueError:
            pass
    raise ValueError("a port of this machine, HOST:PORT or unix:PATH")


def count(raw: str) -> int:
    """Return a whole number of at least one."""
    if raw.isascii() and raw.isdigit() and len(raw) < 10 and int(raw) > 0:
        return int(raw)
    raise ValueError("a whole number of at least 1")


def bounds(raw: str) -> Bounds:
    """Return the bounds of a number: ``MIN..MAX``, or one number for both."""
    least, dots, most = raw.partition("..")
    try:
        found = Bounds(count(least), count(most if dots else least))
    except ValueError:
        found = Bounds(1, 0)
    if found.least > found.most:
        raise ValueError("a whole number of at least 1, or two such as 1..8")
    return found


def maybe_count(raw: str) -> int | None:
    """Return a whole number of at least one, or None for an empty text."""
    return count(raw) if raw else None


def maybe_descriptor(raw: str) -> int | None:
    """Return the number of an inherited descriptor above the standard streams."""
    if not raw:
        return None
    if raw.isascii() and raw.isdigit() and len(raw) < 7 and int(raw) > 2:
        return int(raw)
    raise ValueError("the number of an open descriptor of at least 3")


def seconds(raw: str) -> float:
    """Return a time above zero in seconds; the text may have one of the units ms, s, m."""
    number, factor = raw, 1.0
    for unit, worth in (("ms", 0.001), ("s", 1.0), ("m", 60.0)):
        if raw.endswith(unit):
            number, factor = raw[: -len(unit)], worth
            break
    if number.isascii() and number.replace(".", "", 1).isdigit() and len(number) < 12:
        value = float(number) * factor
        if value > 0:
            return value
    raise ValueError("a time above zero in seconds, such as 60, 0.5, 500ms or 2m")


def maybe_probation(raw: str) -> ProbationLimit | None:
    """Return how long a probation lasts; None for an empty text: there is none."""
    if not raw:
        return None
    try:
        if raw.endswith("r"):
            return ProbationLimit(requests=count(raw[:-1]))
        return ProbationLimit(seconds(raw))
    except ValueError:
        pass
    raise ValueError("a time such as 60, 90s or 5m, or a number of requests such as 500r")


def seconds_or_none(raw: str) -> float:
    """Return a time as `seconds` does, or infinity for ``none``: no limit."""
    if raw.lower() == "none":
        return float("inf")
    try:
        return seconds(raw)
    except ValueError as error:
        raise ValueError(f"{error}, or none") from None
