from __future__ import annotations

import ctypes
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotwhisk.action.environ import TraceVariables, Variables
from hotwhisk.http1.trace_context import TraceContext

NAME = "__OW_UNDER_TEST"
GETENV = ctypes.CDLL(None).getenv
GETENV.restype = ctypes.c_char_p


def seen() -> tuple[str | None, str | None, str]:
    """Return a variable as Python, the C library and a program see it."""
    in_c = GETENV(NAME.encode())
    told = subprocess.run(["printenv", NAME], capture_output=True, text=True, check=False).stdout
    return os.environ.get(NAME), None if in_c is None else in_c.decode(), told.removesuffix("\n")


@pytest.fixture
def variables() -> Iterator[Variables]:
    yield Variables()
    os.environ.pop(NAME, None)


def test_python_the_c_library_and_programs_see_each_value(variables: Variables) -> None:
    for value in ("1", "22", "", "é=ü", "x" * 10_000, "3", "y" * 30_000, "4"):
        variables.set(NAME, value)
        assert seen() == (value, value, value)


def test_a_change_by_the_action_is_kept(variables: Variables) -> None:
    variables.set(NAME, "ours")
    os.environ[NAME] = "theirs"
    assert seen() == ("theirs", "theirs", "theirs")
    variables.set(NAME, "ours again")
    assert seen() == ("ours again", "ours again", "ours again")
    del os.environ[NAME]
    assert seen() == (None, None, "")
    variables.set(NAME, "ours")
    assert seen() == ("ours", "ours", "ours")


def test_an_environment_that_the_action_has_replaced_is_set(
    variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {})
    variables.set(NAME, "1")
    assert os.environ == {NAME: "1"}


def anonymous() -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"^RssAnon:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def test_many_values_leave_nothing_behind(variables: Variables) -> None:
    for number in range(1000):
        variables.set(NAME, f"{number:032x}")
    before = anonymous()
    for number in range(100_000):  # by setenv(3) this is 9 MB on glibc
        variables.set(NAME, f"{number:032x}")
    assert anonymous() - before < 1 << 20


def test_a_trace_is_shown_for_its_run_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", "of the server")
    monkeypatch.delenv("TRACESTATE", raising=False)

    def shown() -> tuple[str | None, str | None]:
        return os.environ.get("TRACEPARENT"), os.environ.get("TRACESTATE")

    variables = TraceVariables()
    variables.show(TraceContext("first", "a=1"))
    assert (shown(), variables.are_set) == (("first", "a=1"), True)
    os.environ["TRACEPARENT"] = "of the action"
    variables.show(TraceContext("second"))
    assert shown() == ("second", None)
    variables.show(None)
    assert (shown(), variables.are_set) == (("of the server", None), False)
    assert GETENV(b"TRACEPARENT") == b"of the server"
    assert GETENV(b"TRACESTATE") is None
