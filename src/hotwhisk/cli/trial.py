"""
What ``hotwhisk replace --trial`` asks for, and how the trial goes, while it goes on.

The progress is asked on the control socket, as by ``hotwhisk status``. So it is shown on the
machine of the server, to its user; elsewhere only the verdict is.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING

from hotwhisk.cli import control
from hotwhisk.cli.client import split_url
from hotwhisk.config.option import count
from hotwhisk.errors import ServerError, UsageError
from hotwhisk.openwhisk.trial_request import (
    LONGEST_PATTERN,
    MOST_COPIES,
    MOST_PATTERNS,
    MOST_SECONDS,
    SECONDS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LOCAL = ("127.0.0.1", "localhost", "::1")
CLEARED = "\r\x1b[K"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a trial."""
    parser.add_argument(
        "--trial",
        type=_number("copies", MOST_COPIES),
        metavar="COPIES",
        help="first compare its answers to so many copies of requests; only for an action that may "
        "be called twice",
    )
    parser.add_argument(
        "--for",
        dest="seconds",
        type=_number("seconds", MOST_SECONDS),
        metavar="SECONDS",
        help=f"how long the trial takes at most ({SECONDS})",
    )
    parser.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="REGEX",
        help="take what matches in results for equal; may be repeated",
    )


def wanted(given: argparse.Namespace) -> dict[str, object] | None:
    """
    Return the member ``trial`` of the ``/init``; None if no trial is wanted.

    Raises:
        UsageError: the options do not fit together, or a regular expression is none.
    """
    if given.trial is None:
        if given.seconds is not None or given.ignore:
            raise UsageError("--for and --ignore are for a trial: give --trial COPIES too")
        return None
    for each in given.ignore:
        try:
            re.compile(each)
        except re.error as error:
            raise UsageError(f"--ignore {each!r}: {error}") from None
        if len(each) > LONGEST_PATTERN:
            raise UsageError(f"--ignore: at most {LONGEST_PATTERN} characters, got {len(each)}")
    if len(given.ignore) > MOST_PATTERNS:
        raise UsageError(f"--ignore may be given {MOST_PATTERNS} times at most")
    return {"copies": given.trial, "seconds": given.seconds or SECONDS, "ignore": given.ignore}


class Progress:
    """A line in the terminal that says how a trial goes, until `close`."""

    def __init__(self, url: str, environ: Mapping[str, str]) -> None:
        parts = split_url(url)
        self._server = argparse.Namespace(host=None, port=parts.port or 80, run_dir=None)
        self._environ = environ
        self._is_shown = sys.stderr.isatty() and parts.hostname in LOCAL
        self._last = ""

    def show(self) -> None:
        """Show how the trial goes now, if the server can be asked."""
        if not self._is_shown:
            return
        try:
            line = progress(control.ask("status", self._server, self._environ))
        except ServerError:
            self._is_shown = False
            return
        if line and line != self._last:
            self._write(CLEARED + line)
            self._last = line

    def close(self) -> None:
        """Remove the line."""
        if self._last:
            self._write(CLEARED)

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def progress(status: Mapping[str, object]) -> str:
    """Return the line for the trial in a server's status; empty if there is none."""
    trial = status.get("trial")
    if not isinstance(trial, dict):
        return ""
    differing = trial.get("differing")
    differ = "none differs" if not differing else f"{differing} differ{'s' * (differing == 1)}"
    return (
        f"generation {trial.get('generation')} is on trial: {trial.get('compared')} of "
        f"{trial.get('copies')} copies, {differ}, {_seconds(trial.get('for'))} of "
        f"{trial.get('seconds')} s"
    )


def _seconds(value: object) -> str:
    return f"{value:.0f}" if isinstance(value, int | float) else "-"


def _number(what: str, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            number = count(text)
        except ValueError:
            number = 0
        if not 1 <= number <= most:
            raise argparse.ArgumentTypeError(f'expected {what} from 1 to {most}, got "{text}"')
        return number

    return read
