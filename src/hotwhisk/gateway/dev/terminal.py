"""Write what happens to the terminal: a line for each request and each replacement."""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import TextIO

from hotwhisk.gateway.dev.project import Source
from hotwhisk.gateway.names import joined
from hotwhisk.gateway.store.activations import StoredActivation
from hotwhisk.platform.logs import stream_and_text
from hotwhisk.platform.verdict import Status
from hotwhisk.watch.source_files import NAMED


class Colour(StrEnum):
    """The codes of ECMA-48 that are used."""

    RED = "31"
    GREEN = "32"
    YELLOW = "33"
    BLUE = "34"
    DIM = "2"


class Terminal:
    """A stream of text, in ``colour`` or without. Any thread may use it."""

    def __init__(self, stream: TextIO, *, colour: bool) -> None:
        self._stream = stream
        self._colour = colour
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Write a line about hotwhisk itself."""
        self._write(self._paint(f"hotwhisk: {text}", Colour.DIM))

    def request(self, activation: StoredActivation) -> None:
        """Write the line of a request and its log: status, time, version, activation id."""
        record = activation.record
        status = Status(record["response"]["statusCode"])
        colour = Colour.GREEN if status is Status.SUCCESS else Colour.RED
        name = joined(activation.package, record["name"])
        init = activation.annotation("initTime")
        loaded = f", {init} ms of them to load" if init is not None else ""
        first = (
            f"{name} {self._paint(status.text, colour)} {record['duration']} ms{loaded} "
            + self._paint(f"{record['version']} {activation.id}", Colour.DIM)
        )
        lines = [stream_and_text(line)[1] for line in record["logs"]]
        self._write(first, *(f"  {_printable(line)}" for line in lines))

    def deployed(self, source: Source, version: str, seconds: float, changed: list[str]) -> None:
        """Write that a version is current now, and which files had changed."""
        text = f"{source.shown} {version} is live after {seconds * 1000:.0f} ms{_why(changed)}"
        self._write(self._paint(text, Colour.BLUE))

    def address(self, source: Source, url: str) -> None:
        """Write where an action can be called."""
        self._write(self._paint(f"{source.shown} is called at {url}", Colour.BLUE))

    def refused(self, source: Source, failure: str, changed: list[str], *, serves: bool) -> None:
        """Write why a version does not load; ``serves`` says whether an earlier one serves."""
        told = "was not replaced, because it does not load"
        if not serves:
            told = "does not load; no version of it serves"
        lines = [f"  {_printable(line)}" for line in failure.splitlines()]
        self._write(self._paint(f"{source.shown} {told}{_why(changed)}", Colour.RED), *lines)

    def removed(self, source: Source) -> None:
        """Write that an action is gone."""
        self._write(self._paint(f"{source.shown} was removed", Colour.BLUE))

    def replayed(self, source: Source, count: int, differences: list[str]) -> None:
        """Write what came of the last events on a new version."""
        events = f"the last {count} events" if count > 1 else "the last event"
        if not differences:
            self._write(self._paint(f"{source.shown} answers {events} as before", Colour.GREEN))
            return
        text = f"{source.shown} answers {events} otherwise than before:"
        self._write(self._paint(text, Colour.YELLOW), *map(_printable, differences))

    def _paint(self, text: str, colour: Colour) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colour else text

    def _write(self, *lines: str) -> None:
        with self._lock:
            try:
                self._stream.write("".join(f"{line}\n" for line in lines))
                self._stream.flush()
            except (OSError, ValueError):  # the terminal was closed
                pass


def _why(changed: list[str]) -> str:
    """Return the end of a line that names the files that have changed."""
    more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
    return f" · {', '.join(changed[:NAMED])}{more} changed" if changed else ""


def _printable(line: str) -> str:
    """Return a line of an action's log without codes that could steer the terminal."""
    return "".join(each if each.isprintable() or each == "\t" else "?" for each in line)
