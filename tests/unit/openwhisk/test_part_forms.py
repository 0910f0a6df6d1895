"""The form of a response in parts, its parts in each form, and the result that joins them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotwhisk.errors import BadResult
from hotwhisk.openwhisk.part_forms import (
    Layout,
    PartForm,
    choose_form,
    error_event,
    joined,
    write_part,
)

NDJSON = "application/x-ndjson"
EVENTS = PartForm(Layout.EVENTS, "text/event-stream")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("text/event-stream", EVENTS),
        ("application/json, text/event-stream", EVENTS),
        ("TEXT/Event-Stream ; q=0.5 , */*", EVENTS),
        (NDJSON, PartForm(Layout.LINES, NDJSON)),
        ("application/jsonl", PartForm(Layout.LINES, "application/jsonl")),
        (f"{NDJSON};q=0.5, text/event-stream;q=0.9", EVENTS),
        (f"{NDJSON}, text/event-stream", PartForm(Layout.LINES, NDJSON)),
    ],
)
def test_a_client_gets_the_form_that_it_asks_for(accept: str, form: PartForm) -> None:
    for first in ("text", b"bytes", {}):
        assert choose_form(accept, first) == form


@pytest.mark.parametrize(
    "accept",
    [None, "", "*/*", "application/json", "text/event-stream;q=0", "text/event-stream;q=x",
     "text/event-stream;q=2", ",;,="],
)  # fmt: skip
def test_without_such_a_wish_the_first_part_decides(accept: str | None) -> None:
    assert choose_form(accept, "text") == PartForm(Layout.PLAIN, "text/plain; charset=utf-8")
    assert choose_form(accept, b"bytes") == PartForm(Layout.PLAIN, "application/octet-stream")
    for first in ({}, [], 1, None):
        assert choose_form(accept, first) == PartForm(Layout.LINES, NDJSON)


@given(st.text(st.characters(codec="ascii")))
def test_any_accept_gives_a_form(accept: str) -> None:
    assert choose_form(accept, {}).media_type


@pytest.mark.parametrize(
    ("part", "lines", "events", "plain"),
    [
        ({"é": 1}, '{"é":1}\n', 'data: {"é":1}\n\n', '{"é":1}\n'),
        ([1, None], "[1,null]\n", "data: [1,null]\n\n", "[1,null]\n"),
        (3, "3\n", "data: 3\n\n", "3\n"),
        ("é\n", '"é\\n"\n', "data: é\ndata: \n\n", "é\n"),
        ("", '""\n', "data: \n\n", ""),
        ("é".encode(), '"é"\n', "data: é\n\n", "é"),
        (bytearray(b"a"), '"a"\n', "data: a\n\n", "a"),
        (memoryview(b"a"), '"a"\n', "data: a\n\n", "a"),
    ],
)
def test_a_part_in_each_layout(part: object, lines: str, events: str, plain: str) -> None:
    assert write_part(Layout.LINES, part) == lines.encode()
    assert write_part(Layout.EVENTS, part) == events.encode()
    assert write_part(Layout.PLAIN, part) == plain.encode()


def test_bytes_that_are_no_text_are_sent_as_they_are_or_replaced() -> None:
    assert write_part(Layout.PLAIN, b"\xff\0") == b"\xff\0"
    assert write_part(Layout.EVENTS, b"\xff") == "data: \ufffd\n\n".encode()
    assert json.loads(write_part(Layout.LINES, b"\xff")) == "\ufffd"


@pytest.mark.parametrize("layout", Layout)
@pytest.mark.parametrize("part", [{1}, {"n": float("nan")}, object()])
def test_a_part_that_json_does_not_have_is_refused(layout: Layout, part: object) -> None:
    with pytest.raises(BadResult, match="a part that JSON does not have"):
        write_part(layout, part)


@pytest.mark.parametrize("layout", [Layout.EVENTS, Layout.PLAIN])
def test_a_text_that_utf_8_does_not_have_is_refused(layout: Layout) -> None:
    with pytest.raises(BadResult, match="a text that UTF-8 does not have"):
        write_part(layout, "\ud800")


def parse_events(stream: str) -> list[str]:
    """Return the data of the events in a stream, by the rules of the HTML standard."""
    found, data = [], list[str]()
    for line in stream.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        name, _, value = line.partition(":")
        if not line and data:
            found.append("\n".join(data))
            data = []
        elif name == "data":
            data.append(value.removeprefix(" "))
    return found


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.integers()))
def test_a_reader_of_events_gets_what_was_yielded(parts: list[str | int]) -> None:
    sent = b"".join(write_part(Layout.EVENTS, part) for part in parts).decode()
    texts = [str(part).replace("\r\n", "\n").replace("\r", "\n") for part in parts]
    assert parse_events(sent) == texts


def test_an_error_is_an_event_with_the_body_of_the_answer() -> None:
    assert error_event(b'{"error":"a"}\n') == b'event: error\ndata: {"error":"a"}\n\n'


@pytest.mark.parametrize(
    ("parts", "result"),
    [
        (["a", "é"], {"body": "aé"}),
        (["a", b"b", "é".encode()[:1], "é".encode()[1:]], {"body": "abé"}),
        ([], {"body": ""}),
        ([{"n": 1}, {"n": 2}], {"body": [{"n": 1}, {"n": 2}]}),
        ([{"n": 1}], {"body": [{"n": 1}]}),
        (["a", {"n": 1}, b"b"], {"body": ["a", {"n": 1}, "b"]}),
        (
            [b"\xff", "a"],
            {"headers": {"Content-Type": "application/octet-stream"}, "body": "/2E="},
        ),
    ],
)
def test_the_joined_result(parts: list[object], result: object) -> None:
    assert joined(parts) == result
