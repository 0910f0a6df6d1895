"""What a handler returns, as the reply to an event."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotwhisk.cloudevents.cloud_event import CloudEvent
from hotwhisk.cloudevents.event_reader import read_event
from hotwhisk.cloudevents.event_reply import NO_CONTENT, json_reply, reply_with
from hotwhisk.errors import BadResult
from hotwhisk.http1.http1 import HttpResponse

NEW = {"id": "n1", "time": "2026-01-01T00:00:00Z"}
GIVEN = {"specversion": "1.0", "type": "com.example.reply", "source": "/reply"}


def reply(result: object) -> HttpResponse | None:
    return reply_with(result, lambda: NEW)


def headers(found: HttpResponse | None) -> list[tuple[str, str]]:
    """Return the headers as a receiver reads them."""
    assert found is not None
    lines = found.headers.decode("ascii").splitlines()
    pairs = (line.split(": ", 1) for line in lines)
    return [(name.lower(), value) for name, value in pairs]


def received(result: object) -> CloudEvent:
    """Return the reply to an event as its receiver reads it."""
    found = reply(result)
    assert found is not None
    assert found.status == 200
    return read_event(headers(found), found.body)


class OfTheLibrary:
    """An event with the methods that all versions of the SDK have."""

    def __init__(self, attributes: Mapping[str, object], data: object) -> None:
        self.attributes = attributes
        self.data = data

    def get_attributes(self) -> Mapping[str, object]:
        return self.attributes

    def get_data(self) -> object:
        return self.data


def test_nothing_is_an_empty_reply() -> None:
    assert reply(None) is NO_CONTENT


@pytest.mark.parametrize("result", [{}, {"type": "x"}, [], (), "text", b"bytes", 5])
def test_what_is_no_event_is_left_to_the_caller(result: object) -> None:
    assert reply(result) is None


def test_json_says_that_it_is_json() -> None:
    assert headers(json_reply(b"{}")) == [
        ("content-type", "application/json"),
        ("content-length", "2"),
    ]


@pytest.mark.parametrize("form", ["dict", "object"])
def test_an_event_is_sent_in_the_binary_form_and_gets_an_id_and_a_time(form: str) -> None:
    data = {"a": 1}
    result = GIVEN | {"data": data} if form == "dict" else OfTheLibrary(GIVEN, data)
    expected = CloudEvent({**NEW, **GIVEN, "datacontenttype": "application/json"}, data)
    assert received(result) == expected


def test_an_event_of_ours_is_sent_as_it_is() -> None:
    event = CloudEvent(NEW | GIVEN)
    assert received(event) == event


@pytest.mark.parametrize(
    ("media_type", "data", "body"),
    [
        (None, "text", b'"text"'),
        ("application/json", [1], b"[1]"),
        ("text/plain", "ä", "ä".encode()),
        ("text/plain; charset=latin-1", "ä", b"\xe4"),
        ("image/png", b"\x89", b"\x89"),
        ("application/json", b"{}", b"{}"),
        (None, None, b""),
    ],
)
def test_data_is_written_as_its_type_says(media_type: str | None, data: Any, body: bytes) -> None:
    found = reply(OfTheLibrary(GIVEN | {"datacontenttype": media_type}, data))
    assert found is not None
    assert found.body == body


@pytest.mark.parametrize("charset", ["punycode", "klingon"])
def test_a_text_is_written_in_no_other_charset(charset: str) -> None:
    with pytest.raises(BadResult, match="this charset is unknown; expected UTF-8"):
        reply(OfTheLibrary(GIVEN | {"datacontenttype": f"text/plain; charset={charset}"}, "a"))


def test_bytes_without_a_type_are_bytes() -> None:
    assert received(OfTheLibrary(GIVEN, b"\xff")).data == b"\xff"


def test_attributes_of_other_types_have_their_text() -> None:
    moment = dt.datetime(2018, 4, 5, 17, 31, tzinfo=dt.UTC)
    more = {"time": moment, "flag": True, "count": -3, "raw": b"Ma", "unset": None}
    found = headers(reply(OfTheLibrary(GIVEN | more, None)))
    assert dict(found).items() >= {
        "ce-time": "2018-04-05T17:31:00Z", "ce-flag": "true", "ce-count": "-3", "ce-raw": "TWE=",
    }.items()  # fmt: skip
    assert "ce-unset" not in dict(found)


@pytest.mark.parametrize(
    ("result", "why"),
    [
        ({"specversion": "1.0"}, "has no `source`"),
        (GIVEN | {"type": ""}, "expected a text that is not empty"),
        (GIVEN | {"specversion": 1}, "`specversion` is 1"),
        (GIVEN | {"time": "now"}, "expected date and time"),
        (GIVEN | {"Upper": "x"}, "cannot name an attribute"),
        (GIVEN | {5: "x"}, "cannot be sent"),
        (GIVEN | {"x": []}, "expected a text, a boolean or an integer"),
        (GIVEN | {"type": "a\r\nb: c"}, "control character"),
        (GIVEN | {"datacontenttype": "a/b\r\nc: d"}, "control character|expected a media type"),
        (GIVEN | {"data": {1, 2}}, "cannot be sent"),
        (GIVEN | {"data": float("nan")}, "cannot be sent"),
        (GIVEN | {"datacontenttype": "text/plain", "data": {}}, "expected a text"),
        (OfTheLibrary(GIVEN | {"datacontenttype": "text/plain"}, {}), "expected bytes or a text"),
        (OfTheLibrary({"type": "x"}, None), "has no `specversion`"),
    ],
)
def test_an_event_that_is_not_valid_is_a_bad_result(result: object, why: str) -> None:
    with pytest.raises(BadResult, match=why):
        reply(result)


NAMES = st.from_regex("[a-z0-9]{1,8}", fullmatch=True).filter(lambda name: name != "data")
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


@pytest.mark.slow
@settings(max_examples=50)
@given(st.dictionaries(NAMES, TEXTS), TEXTS)
def test_every_valid_event_is_read_as_it_was_returned(more: dict[str, str], data: str) -> None:
    fixed = {"specversion", "time", "datacontenttype"}
    attributes = {name: value for name, value in more.items() if name not in fixed}
    event = received(attributes | GIVEN | {"data": data})
    expected = NEW | attributes | GIVEN | {"datacontenttype": "application/json"}
    assert event == CloudEvent(expected, data)
