from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from hotwhisk.gateway.log import LogFormat, log_event, open_log


@pytest.fixture(autouse=True)
def closed_log() -> Iterator[None]:
    """Leave the log to the next test as it was."""
    logger = logging.getLogger("hotwhisk.gateway")
    before = (logger.handlers[:], logger.level, logger.propagate, logging.raiseExceptions)
    yield
    logger.handlers[:], logger.level, logger.propagate, logging.raiseExceptions = before


def test_a_text_line_has_the_message_alone(capfd: pytest.CaptureFixture[str]) -> None:
    with open_log(LogFormat.TEXT):
        log_event("action guest/hello updated (0.0.2)", action="guest/hello")
    assert capfd.readouterr().err == "hotwhisk: action guest/hello updated (0.0.2)\n"


def test_a_text_line_is_one_line_that_no_terminal_obeys(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with open_log(LogFormat.TEXT):
        log_event("did not load: \x1b[2Jgone\nhotwhisk: forged é")
    assert capfd.readouterr().err == "hotwhisk: did not load:  [2Jgone hotwhisk: forged é\n"


def test_a_json_line_has_the_fields(capfd: pytest.CaptureFixture[str]) -> None:
    with open_log(LogFormat.JSON):
        log_event("two\nlines", level=logging.WARNING, action="guest/hello", status=507)
    text = capfd.readouterr().err
    assert text.count("\n") == 1
    line = json.loads(text)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "WARNING",
        "message": "two\nlines",
        "action": "guest/hello",
        "status": 507,
    }


def test_a_traceback_is_a_field(capfd: pytest.CaptureFixture[str]) -> None:
    with open_log(LogFormat.JSON):
        try:
            raise ValueError("wrong")
        except ValueError as error:
            log_event("failed", level=logging.ERROR, exc_info=error)
    line = json.loads(capfd.readouterr().err)
    assert line["traceback"].endswith("ValueError: wrong")


def test_modules_that_use_logging_come_out_in_the_same_form(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with open_log(LogFormat.JSON):
        logging.getLogger("hotwhisk.gateway.page").warning("no browser for %s", "ada")
    assert json.loads(capfd.readouterr().err)["message"] == "no browser for ada"


def test_the_texts_of_uvicorn_do_not_appear(capfd: pytest.CaptureFixture[str]) -> None:
    with open_log(LogFormat.TEXT):
        logging.getLogger("uvicorn.error").error("Uvicorn running on http://127.0.0.1:3233")
    assert not capfd.readouterr().err
