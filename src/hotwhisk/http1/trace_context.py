"""
Read the headers ``traceparent`` and ``tracestate`` of a request.

They say to which distributed trace a request belongs. A value that breaks a rule is ignored, as if
it had not come. A ``tracestate`` counts only beside a valid ``traceparent``, and a wrong one leaves
that valid.

Source: W3C Trace Context, sections "Traceparent Header" and "Tracestate Header". Where level 2 of
the standard is more lenient about the keys of ``tracestate``, its rule is used.
"""

from __future__ import annotations

import re

from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

MOST_MEMBERS: Final = 32
"""Most entries of a ``tracestate``."""

_VERSION: Final = "00"
_SAMPLED: Final = 1
_PARENT: Final = re.compile(
    r"(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_MEMBER: Final = re.compile(
    r"([a-z0-9][a-z0-9_*/@-]{0,255})=[ -+\--<>-~]{0,255}[!-+\--<>-~]"  # all but the comma and "="
)


class TraceContext(Record):
    """The place of a request in a trace, as its headers say it; both texts are ASCII."""

    traceparent: str
    tracestate: str = ""

    @property
    def trace_id(self) -> str:
        """Return the number of the trace, 32 hexadecimal digits."""
        return self.traceparent[3:35]

    @property
    def header_lines(self) -> bytes:
        """Return the headers of a response, each with its line end."""
        lines = f"{TRACEPARENT}: {self.traceparent}\r\n"
        if self.tracestate:
            lines += f"{TRACESTATE}: {self.tracestate}\r\n"
        return lines.encode()


def read_trace_context(fields: Mapping[str, Sequence[str]]) -> TraceContext | None:
    """Return the trace context of a request's headers, given by lower-case name; None without."""
    parents = fields.get(TRACEPARENT, ())
    parent = _traceparent(parents[0]) if len(parents) == 1 else ""
    if not parent:
        return None
    return TraceContext(parent, _tracestate(", ".join(fields.get(TRACESTATE, ()))))


def _traceparent(value: str) -> str:
    """
    Return a valid ``traceparent``; empty for an invalid one.

    One of a later version is written as version 00, with the flag that this version knows.
    """
    found = _PARENT.fullmatch(value)
    if found is None:
        return ""
    version, ids, flags, more = found.groups()
    if version != _VERSION:
        return f"{_VERSION}-{ids}-{int(flags, 16) & _SAMPLED:02x}"
    return "" if more else value


def _tracestate(value: str) -> str:
    """Return a valid ``tracestate`` as it came; empty for an invalid one, or without an entry."""
    members = [each for part in value.split(",") if (each := part.strip(" \t"))]
    found = [_MEMBER.fullmatch(each) for each in members]
    keys = {each[1] for each in found if each is not None}
    return value if 0 < len(keys) == len(members) <= MOST_MEMBERS else ""
