"""The rules of W3C Trace Context for the two headers of a request."""

from __future__ import annotations

import pytest

from hotwhisk.http1.head import parse_head
from hotwhisk.http1.trace_context import TraceContext

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
VALID = f"00-{TRACE}-{PARENT}-01"


def read(*lines: str) -> TraceContext | None:
    head = "\r\n".join(("POST /run HTTP/1.1", "Host: a", *lines))
    return parse_head(head.encode("latin-1")).trace


def state(*values: str) -> str:
    found = read(f"traceparent: {VALID}", *(f"tracestate: {value}" for value in values))
    assert found is not None
    return found.tracestate


def test_a_request_without_the_headers_belongs_to_no_trace() -> None:
    assert read() is None
    assert read("tracestate: congo=t61rcWkgMzE") is None


@pytest.mark.parametrize("name", ["traceparent", "TraceParent", "TRACEPARENT"])
def test_a_valid_one_is_read(name: str) -> None:
    found = read(f"{name}:  {VALID} ", "tracestate: congo=t61rcWkgMzE")
    assert found == TraceContext(VALID, "congo=t61rcWkgMzE")
    assert found.trace_id == TRACE
    assert found.header_lines.splitlines() == [
        f"traceparent: {VALID}".encode(),
        b"tracestate: congo=t61rcWkgMzE",
    ]


@pytest.mark.parametrize(
    "value",
    [
        "", "00", VALID[:-1], f"{VALID}0", f"{VALID}-", f"{VALID}-00", VALID.upper(), f"0{VALID}",
        f"ff-{TRACE}-{PARENT}-01", f"0g-{TRACE}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{PARENT}-0x", f"00_{TRACE}-{PARENT}-01",
        f"00-{TRACE[:-1]}.-{PARENT}-01", f"01-{TRACE}-{PARENT}-0", f"01-{TRACE}-{PARENT}-01.",
        f"{VALID},{VALID}", f"00-{TRACE}-{PARENT}-0\xb9",
    ],
)  # fmt: skip
def test_an_invalid_one_is_ignored_with_its_tracestate(value: str) -> None:
    assert read(f"traceparent: {value}", "tracestate: congo=1") is None


def test_two_of_them_are_ignored() -> None:
    assert read(f"traceparent: {VALID}", f"traceparent: {VALID}") is None


@pytest.mark.parametrize(
    ("flags", "known"), [("01", "01"), ("00", "00"), ("ff", "01"), ("02", "00")]
)
@pytest.mark.parametrize("more", ["", "-", "-what-the-future-will-be-like"])
def test_one_of_a_later_version_is_read_as_version_00(flags: str, known: str, more: str) -> None:
    found = read(f"traceparent: cc-{TRACE}-{PARENT}-{flags}{more}")
    assert found == TraceContext(f"00-{TRACE}-{PARENT}-{known}")


def test_flags_of_version_00_are_passed_as_they_came() -> None:
    found = read(f"traceparent: 00-{TRACE}-{PARENT}-ff")
    assert found is not None
    assert found.traceparent.endswith("-ff")


@pytest.mark.parametrize(
    "value",
    [
        "a=1", "0=1", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a=1, b=2", "a=1 \t,\t b=2", "a=1,,b=2",
        "fw529a3039@dt=FfD6F9,a*-_/@=x", "a= ~!x", f"{'k' * 256}={'v' * 256}",
        ",".join(f"k{n}={n}" for n in range(32)),
    ],
)  # fmt: skip
def test_a_valid_tracestate_is_passed_as_it_came(value: str) -> None:
    assert state(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "", ",", "a", "a=", "=1", "A=1", "_a=1", "a =1", "a=1=2", "a=b,a=c", "a=\xe9", "a=1;b=2 =",
        f"{'k' * 257}=1", f"a={'v' * 257}", ",".join(f"k{n}={n}" for n in range(33)),
    ],
)  # fmt: skip
def test_a_wrong_or_empty_tracestate_is_ignored_alone(value: str) -> None:
    assert state(value) == ""


def test_several_headers_are_one_list() -> None:
    assert state("a=1", "b=2,c=3") == "a=1, b=2,c=3"
    assert state("a=1", "a=2") == ""
    assert state("", "a=1") == ", a=1"
