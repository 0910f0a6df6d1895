"""
The member ``trial`` of an ``/init``, which asks for a trial, and the answer to an ``/init``.

Pure. In a trial, copies of requests go to the new version after the current one has answered them.
The answers are compared, and the new version becomes current only if none differs.
"""

from __future__ import annotations

import re

from hotwhisk import json_codec
from hotwhisk.errors import RequestError
from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from hotwhisk.config.config import Config

SECONDS: Final = 60
"""How long a trial takes at most, if the ``/init`` does not say it."""

MOST_COPIES: Final = 1_000_000
MOST_SECONDS: Final = 86_400
MOST_PATTERNS: Final = 20
LONGEST_PATTERN: Final = 500

_DONE: Final = b'{"ok":true}\n'
_MEMBERS: Final = frozenset(("copies", "seconds", "ignore"))
_FORM: Final = '; send such as "trial": {"copies": 200, "seconds": 60, "ignore": ["[0-9]+ ms"]}'


class TrialRequest(Record):
    """
    What a trial is to be like: so many ``copies`` at most, for so many ``seconds`` at most. What
    ``ignore`` matches in a text or in the JSON text of another value may differ.
    """

    copies: int
    seconds: int = SECONDS
    ignore: tuple[re.Pattern[str], ...] = ()


def read_trial(member: object) -> TrialRequest | None:
    """
    Read the member ``trial``; return None if it is absent or null.

    Raises:
        RequestError: it has another form.
    """
    if member is None:
        return None
    if type(member) is not dict:
        raise RequestError(f"/init: `trial` must be an object{_FORM}")
    if unknown := member.keys() - _MEMBERS:
        raise RequestError(f"/init: `trial` has no member `{min(unknown)[:60]}`{_FORM}")
    copies = _number(member.get("copies"), "copies", MOST_COPIES)
    seconds = _number(member.get("seconds", SECONDS), "seconds", MOST_SECONDS)
    return TrialRequest(copies, seconds, _patterns(member.get("ignore", [])))


def check(trial: TrialRequest | None, config: Config) -> None:
    """
    Refuse a trial that a server cannot make.

    Raises:
        RequestError: its workers serve one run only, or take CloudEvents.
    """
    if trial is not None and (config.fresh or config.cloudevents):
        option = "--fresh" if config.fresh else "--cloudevents"
        raise RequestError(f"a server with {option} has no trials: replace without one")


def _number(value: object, name: str, most: int) -> int:
    if type(value) is not int or not 1 <= value <= most:
        raise RequestError(f"/init: `{name}` of `trial` must be a number from 1 to {most}{_FORM}")
    return value


def _patterns(value: object) -> tuple[re.Pattern[str], ...]:
    given = value if type(value) is list else [None]
    texts = [each for each in given if type(each) is str and len(each) <= LONGEST_PATTERN]
    if len(texts) < len(given) or len(texts) > MOST_PATTERNS:
        most = f"at most {MOST_PATTERNS} texts of at most {LONGEST_PATTERN} characters"
        raise RequestError(f"/init: `ignore` of `trial` must be an array of {most}{_FORM}")
    try:
        return tuple(re.compile(each) for each in texts)
    except (re.error, OverflowError, RecursionError) as error:
        raise RequestError(
            f"/init: `ignore` of `trial` is no regular expression: {error}"
        ) from None


def init_done(verdict: str) -> bytes:
    """Return the body for an ``/init`` that succeeded, with the ``verdict`` of a trial."""
    return json_codec.dumps({"ok": True, "trial": verdict}) + b"\n" if verdict else _DONE
