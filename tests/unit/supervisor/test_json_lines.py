"""The lines of a log of JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hotwhisk.ipc.counters import AnswerKind
from hotwhisk.ipc.run_marks import EndedRun, OutputLine, RunBegin, RunEnd
from hotwhisk.supervisor.json_lines import WritingProcess, activation_line, event_line, output_line
from hotwhisk.supervisor.log_events import LogEvent

AT = 1764283951.000002
ORIGIN = WritingProcess(2, "sha256:0", 77)
RUN = RunBegin(1, 'a"b', "t" * 32, AT)


def parsed(line: bytes) -> Any:
    assert line.isascii()
    assert line.count(b"\n") == 1
    return json.loads(line)


def test_an_event() -> None:
    assert parsed(event_line(AT, LogEvent.CRASH_LOOP, "generation 2 …", ORIGIN)) == {
        "timestamp": "2025-11-27T22:52:31.000002Z",
        "level": "ERROR",
        "event": "crash-loop",
        "message": "generation 2 …",
        "generation": 2,
        "digest": "sha256:0",
        "pid": 77,
    }
    found = parsed(event_line(AT, LogEvent.READY, "", WritingProcess(0, "", 1)))
    assert (found["level"], found["generation"], found["digest"]) == ("INFO", None, None)


def test_a_line_of_output() -> None:
    found = parsed(output_line(AT, 2, OutputLine(b"text", RUN), ORIGIN.members()))
    assert (found["event"], found["stream"], found["message"]) == ("output", "stderr", "text")
    assert (found["activation_id"], found["trace_id"]) == ('a"b', "t" * 32)
    found = parsed(output_line(AT, 1, OutputLine(b"x", None, whole=False), ORIGIN.members()))
    assert (found["stream"], found["part"]) == ("stdout", True)
    assert not {"activation_id", "trace_id"} & found.keys()


@given(st.binary())
def test_any_bytes_make_one_line(data: bytes) -> None:
    found = parsed(output_line(AT, 1, OutputLine(data, None), ORIGIN.members()))
    assert found["message"] == data.decode(errors="backslashreplace")


def test_an_activation() -> None:
    ended = EndedRun(RUN, RunEnd(1, 200, AnswerKind.OK, 12, 1.23456, AT))
    found = parsed(activation_line(AT, ended, ORIGIN.members()))
    assert found == {
        "timestamp": "2025-11-27T22:52:31.000002Z",
        "level": "INFO",
        "event": "activation",
        "activation_id": 'a"b',
        "trace_id": "t" * 32,
        "status": 200,
        "kind": "ok",
        "duration_ms": 1.235,
        "bytes": 12,
        "generation": 2,
        "digest": "sha256:0",
        "pid": 77,
    }


def test_an_activation_whose_worker_died() -> None:
    ended = EndedRun(RunBegin(1, "a", "", AT), RunEnd(1, 0, AnswerKind.DIED, -1, 5.0, AT))
    found = parsed(activation_line(AT, ended, ORIGIN.members(), "signal 9 (SIGKILL)"))
    assert (found["status"], found["kind"], found["bytes"]) == (None, "died", None)
    assert (found["cause"], found["level"]) == ("signal 9 (SIGKILL)", "ERROR")
    assert parsed(activation_line(AT + 1, EndedRun(RUN), '"pid":1'))["duration_ms"] == 1000.0


def test_each_event_is_documented_and_has_its_level() -> None:
    page = (Path(__file__).parents[3] / "docs" / "logs.md").read_text()
    listed = page.partition("The other names are ")[2].partition("\n")[0]
    assert set(re.findall("`([a-z][a-z-]+)`", listed)) == set(LogEvent)
    levels = {each: parsed(event_line(AT, each, "", ORIGIN))["level"] for each in LogEvent}
    assert levels[LogEvent.HISTORY_LOST] == levels[LogEvent.NO_TEMPLATE] == "WARNING"
    assert set(levels.values()) == {"INFO", "WARNING", "ERROR"}
