"""What ``replace --trial`` asks for, and the line that says how the trial goes."""

from __future__ import annotations

import io
from contextlib import redirect_stderr

import pytest

from hotwhisk.cli import control
from hotwhisk.cli.replace import parser
from hotwhisk.cli.trial import CLEARED, Progress, progress, wanted
from hotwhisk.errors import ServerError, UsageError

STATUS = {
    "trial": {
        "generation": 8, "compared": 57, "copies": 200, "differing": 1, "for": 3.2, "seconds": 60,
    }
}  # fmt: skip
LINE = "generation 8 is on trial: 57 of 200 copies, 1 differs, 3 of 60 s"


def asked(*words: str) -> dict[str, object] | None:
    return wanted(parser().parse([*words, "hello.py"]))


def test_the_options_are_the_member_of_the_init() -> None:
    assert asked() is None
    assert asked("--trial", "200") == {"copies": 200, "seconds": 60, "ignore": []}
    given = asked("--trial", "5", "--for", "9", "--ignore", "a", "--ignore", "b")
    assert given == {"copies": 5, "seconds": 9, "ignore": ["a", "b"]}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--trial", "0"], "copies from 1 to 1000000"),
        (["--trial", "many"], 'got "many"'),
        (["--trial", "5", "--for", "1000000"], "seconds from 1 to 86400"),
        (["--for", "5"], "give --trial COPIES too"),
        (["--ignore", "x"], "give --trial COPIES too"),
        (["--trial", "5", "--ignore", "("], "--ignore"),
        (["--trial", "5", "--ignore", "x" * 501], "at most 500 characters"),
        (["--trial", "5", *["--ignore", "x"] * 21], "20 times at most"),
    ],
)
def test_a_mistake_is_told_before_anything_is_posted(words: list[str], why: str) -> None:
    with pytest.raises(UsageError) as caught:
        asked(*words)
    assert why in str(caught.value)


def test_the_line_has_all_that_the_status_knows() -> None:
    assert progress(STATUS) == LINE
    assert progress({"trial": None}) == progress({}) == ""
    assert progress({"trial": {"compared": 1}}).endswith("- of None s")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_is_written_over_itself_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ask", lambda *_: STATUS)
    with redirect_stderr(Terminal()) as terminal:
        shown = Progress("http://127.0.0.1:8080", {})
        shown.show()
        shown.show()
        shown.close()
    assert terminal.getvalue() == CLEARED + LINE + CLEARED


def test_a_server_that_cannot_be_asked_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(*_: object) -> None:
        asked.append(1)
        raise ServerError("no server of yours")

    monkeypatch.setattr(control, "ask", refuse)
    with redirect_stderr(Terminal()) as terminal:
        shown = Progress("http://localhost:8080", {})
        for _ in range(3):
            shown.show()
        shown.close()
    assert (len(asked), terminal.getvalue()) == (1, "")


@pytest.mark.parametrize(
    ("url", "stream"),
    [("http://server.example:8080", Terminal()), ("http://127.0.0.1:8080", io.StringIO())],
)
def test_another_machine_is_not_asked_nor_is_any_for_a_file(
    url: str, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "ask", lambda *_: pytest.fail("asked"))
    with redirect_stderr(stream):
        Progress(url, {}).show()
    assert stream.getvalue() == ""
