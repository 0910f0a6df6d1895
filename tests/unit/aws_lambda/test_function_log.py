"""The lines of the log. What a whole process writes is tested with processes."""

from __future__ import annotations

import contextvars
import json
import logging
import os
import struct
import sys
import threading

import pytest

from hotwhisk.aws_lambda.failure import Failure
from hotwhisk.aws_lambda.function_log import FunctionLog

FAILURE = Failure("Odd", "text", ['  File "a.py", line 1, in f\n    x\n'])


def test_a_failure_is_one_entry_of_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    FunctionLog({}).write_failure(FAILURE)
    assert capsys.readouterr().out == (
        '[ERROR] Odd: text\rTraceback (most recent call last):\r  File "a.py", line 1, in f\r    x\n'
    )


def test_a_lone_surrogate_is_written_as_its_escape(capsys: pytest.CaptureFixture[str]) -> None:
    FunctionLog({}).write_failure(Failure("Odd", "\ud800ü"))
    assert capsys.readouterr().out == "[ERROR] Odd: \\ud800ü\n"


def test_a_failure_has_lines_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    class Terminal:
        isatty = staticmethod(lambda: True)
        write = staticmethod(written.append)
        flush = staticmethod(lambda: None)

    monkeypatch.setattr(sys, "stdout", Terminal())
    FunctionLog({}).write_failure(FAILURE)
    assert "\r" not in written[0]
    assert written[0].count("\n") == 4


def test_a_failure_of_a_log_of_json_has_the_request(capsys: pytest.CaptureFixture[str]) -> None:
    log = FunctionLog({"AWS_LAMBDA_LOG_FORMAT": "JSON"})
    log.begin("r1", None, overlaps=False)
    log.write_failure(FAILURE)
    found = json.loads(capsys.readouterr().out)
    assert (found["level"], found["requestId"], found["errorMessage"]) == ("ERROR", "r1", "text")


@pytest.mark.parametrize(
    ("form", "level", "kind"),
    [
        ("text", logging.NOTSET, 0xA55A0003),
        ("text", logging.DEBUG, 0xA55A000B),
        ("text", logging.CRITICAL, 0xA55A001B),
        ("json", logging.NOTSET, 0xA55A0002),
        ("json", logging.INFO, 0xA55A000E),
        ("json", logging.ERROR, 0xA55A0016),
    ],
)
def test_a_frame_bears_form_and_level(form: str, level: int, kind: int) -> None:
    reading, writing = os.pipe()
    FunctionLog({"AWS_LAMBDA_LOG_FORMAT": form}, writing).write("ü\nx", level)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        found, length, at = struct.unpack(">IIQ", pipe.read(16))
        assert (found, length) == (kind, 4)
        assert at > 1_700_000_000_000_000
        assert pipe.read().decode() == "ü\nx"


@pytest.mark.parametrize(
    ("given", "level"), [("trace", "DEBUG"), ("FATAL", "CRITICAL"), ("INFO", "INFO"), ("", "")]
)
def test_the_platforms_levels_are_those_of_logging(given: str, level: str) -> None:
    assert FunctionLog({"AWS_LAMBDA_LOG_LEVEL": given}).level == level


@pytest.mark.parametrize("overlaps", [False, True])
def test_a_thread_has_the_event_unless_there_are_several(*, overlaps: bool) -> None:
    log, found = FunctionLog({}), list[object]()

    def work() -> None:
        log.begin("r1", "t1", overlaps=overlaps)
        thread = threading.Thread(target=lambda: found.append(log.ids))
        thread.start()
        thread.join(20)
        found.append(log.ids)

    contextvars.Context().run(work)
    assert found == [("", None) if overlaps else ("r1", "t1"), ("r1", "t1")]
