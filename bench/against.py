"""
Rows about servers of others: each is measured in turns with the reference and hotwhisk.

Such a server runs already and answers a POST of ``{"value": EVENT}`` by EVENT. One that speaks the
interface of OpenWhisk and has no action yet gets the echo by ``/init``.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import urlsplit

from tests.support.client import Address, init_once
from tests.support.wire import ClientError

from .client import Work, answer_length, measure, requests_of
from .report import Row, interleave_all, ratio_row
from .requests import MICRO, ROWS, rounds
from .subjects import ECHO, hotwhisk, reference

Group = Callable[[float], Iterator[Row]]

NOWHERE = ("", 0)
MEASURES = {
    "kept": ("kept", Work("kept", NOWHERE, 4000)),
    "new": ("new connection", Work("fresh", NOWHERE, 2000)),
    "string": ("1 MB string", Work("kept", NOWHERE, 150, size=1 << 20)),
    "rows": ("1 MB of rows", Work("kept", NOWHERE, 60, rows=ROWS)),
    "flood": ("16 at once, /s", Work("flood-kept", NOWHERE, 40_000)),
}
"""Each measurement: its name in the table, and its work, still without an address."""


@dataclass(frozen=True)
class Other:
    """A server of others."""

    name: str
    address: Address
    path: str

    @classmethod
    def parse(cls, text: str) -> Other:
        """Return the server that NAME=URL names; the path is ``/run`` if the URL has none."""
        name, _, url = text.partition("=")
        parts = urlsplit(url)
        if not name or parts.scheme != "http" or not parts.hostname:
            raise ArgumentTypeError(f"expected NAME=http://HOST:PORT, got {text!r}")
        path = parts.path.rstrip("/") or "/run"
        return cls(name, (parts.hostname, parts.port or 80), path)

    def work(self, work: Work) -> Work:
        """Return this work for this server."""
        return replace(work, address=self.address, path=self.path)

    def has_action(self) -> bool:
        """Return whether it answers an event by that event."""
        work = self.work(Work("fresh", NOWHERE, 1))
        try:
            answer_length(work, requests_of(work)[0])
        except (ClientError, OSError):
            return False
        return True

    def require_action(self) -> None:
        """Post the echo if it has no action; raise RuntimeError if that does not help."""
        if self.has_action():
            return
        try:
            init_once(self.address, ECHO, timeout=60.0)
        except (ClientError, OSError) as error:
            raise RuntimeError(f"{self.name} does not answer /init: {error}") from error
        if not self.has_action():
            raise RuntimeError(
                f"{self.name} does not echo: expected that POST {self.path} of "
                '{"value": EVENT} is answered by EVENT, with status 200'
            )


def groups(others: Sequence[Other]) -> dict[str, Group]:
    """
    Return the measurements of these servers, by name.

    Each is of its own, so a server that fails in one is still measured in the others.
    """
    return {
        f"{other.name} {measurement}": partial(compare, other, *MEASURES[measurement])
        for other in others
        for measurement in MEASURES
    }


def compare(other: Other, name: str, work: Work, scale: float) -> Iterator[Row]:
    """Measure one kind of work, in turns, on another server and on ours."""
    other.require_action()
    work = replace(work, count=max(20, int(work.count * scale)))
    flood = work.mode.startswith("flood")
    with ExitStack() as stack:
        ours = {
            "the reference": stack.enter_context(reference()),
            "hotwhisk": stack.enter_context(hotwhisk()),
            "--openwhisk": stack.enter_context(hotwhisk(ECHO, "--openwhisk")),
        }
        works = [other.work(work), *(replace(work, address=each.address) for each in ours.values())]
        theirs, *taken = interleave_all(rounds(scale), [partial(value_of, each) for each in works])
    shown = "{:.0f} /s against {:.0f}" if flood else MICRO
    for our_name, values in zip(ours, taken, strict=True):
        yield ratio_row(f"{name}: {our_name} / {other.name}", None, values, theirs, shown)


def value_of(work: Work) -> float:
    """Return the requests per second of a flood, or the median latency in microseconds."""
    taken = measure(work)
    return taken.rate if work.mode.startswith("flood") else taken.p50 * 1e6
