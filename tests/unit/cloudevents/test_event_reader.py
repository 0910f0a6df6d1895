"""
Events as requests, by the published cases.

The names in the tables of JSON are those of the cases in github.com/cloudevents/conformance,
format/json, so that a new case there is easy to find missing here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotwhisk.cloudevents.cloud_event import CloudEvent
from hotwhisk.cloudevents.event_reader import STRUCTURED, read_event
from hotwhisk.cloudevents.header_values import decode, encode
from hotwhisk.errors import RequestError, UnsupportedMediaType

MINIMAL = {
    "specversion": "1.0",
    "id": "minimal",
    "type": "io.cloudevents.test",
    "source": "https://cloudevents.io",
}
HEADERS = [(f"ce-{name}", value) for name, value in MINIMAL.items()]
GONE = object()

VALID: dict[str, dict[str, object]] = {
    "validMinimal": {},
    "validMinimalWithNullForOptional": dict.fromkeys(
        ("datacontenttype", "dataschema", "subject", "time")
    ),
    "validAllCoreAttributes": {
        "datacontenttype": "text/plain",
        "dataschema": "https://cloudevents.io/dataschema",
        "subject": "tests",
        "time": "2018-04-05T17:31:00Z",
    },
    "validMinimalWithTimeUtc": {"time": "2018-04-05T17:31:00Z"},
    "validMinimalWithTimeToNanosecondsUtc": {"time": "2018-04-05T17:31:00.000000000Z"},
    "validMinimalWithTimeUsingPositiveOffset": {"time": "2018-04-05T18:31:00+01:00"},
    "validMinimalWithTimeUsingNegativeOffset": {"time": "2018-04-05T16:31:00-01:00"},
    "validRelativeSource": {"source": "#fragment"},
    "validSimpleTextData": {"datacontenttype": "text/plain", "data": "Simple text"},
    "validAllExtensionTypes": {
        "extinteger": 10,
        "extboolean": True,
        "extstring": "text",
        "exturi": "https://cloudevents.io",
        "exturiref": "//authority/path",
        "exttimestamp": "2023-03-31T15:12:00Z",
        "extbinary": "TWE=",
    },
}
INVALID: dict[str, dict[str, object]] = {
    "invalidNoSpecVersion": {"specversion": GONE},
    "invalidNoId": {"id": GONE},
    "invalidNoType": {"type": GONE},
    "invalidNoSource": {"source": GONE},
    "invalidTimeGarbage": {"time": "lunchtime"},
    "invalidTimeToMinute": {"time": "2018-04-05T18:31Z"},
    "invalidTimeOffsetX": {"time": "2018-04-05T18:31:00X"},
    "invalidTimeOffsetOutOfRange": {"time": "2018-04-05T18:31:00+25:00"},
    "invalidTimeOffsetNonInteger": {"time": "2018-04-05T18:31:00+xx:00"},
    "invalidTimeOffsetHourOnly": {"time": "2018-04-05T18:31:00+05"},
    "invalidEmptyId": {"id": ""},
    "invalidEmptyType": {"type": ""},
    "invalidEmptySource": {"source": ""},
    "invalidEmptySpecVersion": {"specversion": ""},
    "invalidUnknownSpecVersion": {"specversion": "0.9"},
    "invalidNonRfc2046DataContentType": {"datacontenttype": "xyz"},
    "invalidEmptyDataContentType": {"datacontenttype": ""},
    "invalidEmptyDataSchema": {"dataschema": ""},
    "invalidEmptySubject": {"subject": ""},
    "invalidNumericId": {"id": 25},
    "invalidObjectId": {"id": {"xyz": "abc"}},
    "invalidCapitalizedExtension": {"MyExtension": "bad"},
    "invalidPunctuatedExtension": {"my.extension": "bad"},
    "invalidNonIntegerExtensionValue": {"my.extension": 1.5},
    "invalidBothDataAndDataBase64": {"data": "text", "data_base64": "eyAieHl6IjogMTIzIH0="},
    # beyond the published ones
    "a required attribute is null": {"id": None},
    "a number that is not whole": {"extension": 1.5},
    "an object as an attribute": {"extension": {}},
    "a control character": {"extension": "a\nb"},
    "half of a surrogate pair": {"extension": "\ud800"},
    "not base64": {"data_base64": "%"},
    "base64 that is no text": {"data_base64": 5},
    "JSON in base64 that is not JSON": {
        "datacontenttype": "application/json",
        "data_base64": base64.b64encode(b"{").decode(),
    },
    "data that its type does not allow": {"datacontenttype": "text/plain", "data": {"a": 1}},
}


def document(changes: dict[str, object]) -> dict[str, Any]:
    changed = MINIMAL | changes
    return {name: value for name, value in changed.items() if value is not GONE}


def structured(event: object, content_type: str = STRUCTURED) -> CloudEvent:
    return read_event([("content-type", content_type)], json.dumps(event).encode())


def binary(
    changes: dict[str, str], body: bytes = b"", content_type: str = "application/json"
) -> CloudEvent:
    headers = [(f"ce-{name}", value) for name, value in (MINIMAL | changes).items()]
    return read_event([*headers, ("content-type", content_type)], body)


@pytest.mark.parametrize("case", VALID.values(), ids=list(VALID))
def test_a_valid_event_in_json_is_read(case: dict[str, object]) -> None:
    sent = document(case)
    event = structured(sent)
    data = sent.pop("data", None)
    expected = {name: value for name, value in sent.items() if value is not None}
    assert (event.get_attributes(), event.data) == (expected, data)


@pytest.mark.parametrize("case", INVALID.values(), ids=list(INVALID))
def test_an_invalid_event_in_json_is_refused(case: dict[str, object]) -> None:
    with pytest.raises(RequestError) as caught:
        structured(document(case))
    assert caught.value.status == 400
    assert any(word in str(caught.value) for word in ("expected", "remove it", "is not JSON"))


@pytest.mark.parametrize("sent", ["[]", "1", '"x"', "null", "{", ""])
def test_what_is_no_json_object_is_no_event(sent: str) -> None:
    with pytest.raises(RequestError, match="the event is"):
        read_event([("content-type", STRUCTURED)], sent.encode())


def test_an_event_that_is_nested_too_deeply_is_refused() -> None:
    deep = b'{"data":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    with pytest.raises(RequestError, match="nested too deeply"):
        read_event([("content-type", STRUCTURED)], deep)


# -- github.com/cloudevents/conformance, features/http-protocol-binding.feature ----------------


EXAMPLE = {
    "specversion": "1.0",
    "type": "com.example.someevent",
    "time": "2018-04-05T03:56:24Z",
    "id": "1234-1234-1234",
    "source": "/mycontext/subcontext",
}
MESSAGE = {"message": "Hello World!"}


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_binary_content_mode(content_type: str) -> None:
    event = binary(EXAMPLE, json.dumps(MESSAGE, indent=4).encode(), content_type)
    assert event == CloudEvent({**EXAMPLE, "datacontenttype": content_type}, MESSAGE)


@pytest.mark.parametrize("content_type", [STRUCTURED, f"{STRUCTURED}; charset=utf-8"])
def test_structured_content_mode(content_type: str) -> None:
    sent = {**EXAMPLE, "datacontenttype": "application/json", "data": MESSAGE}
    event = structured(sent, content_type)
    assert event == CloudEvent({**EXAMPLE, "datacontenttype": "application/json"}, MESSAGE)


# -- HTTP Protocol Binding 1.0.2, section 3.1.3.2 ----------------------------------------------


@pytest.mark.parametrize(
    ("sent", "means"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro \u20ac \U0001f600"),
        ("%e2%82%ac", "\u20ac"),
        ("%41", "A"),  # encoded without need
        ("%2520", "%20"),  # decoded once
        ("100%", "100%"),
        ('"a b"', "a b"),  # as older versions of the binding allowed
        (r'"say \"a\\b\""', r'say "a\b"'),
        ('"%22"', '"'),
        ("\u20ac".encode().decode("latin-1"), "\u20ac"),  # not encoded at all
    ],
)
def test_the_value_of_a_header_is_decoded(sent: str, means: str) -> None:
    assert binary({"subject": sent})["subject"] == means


@pytest.mark.parametrize("sent", ["%C0%A0", "%ff", "\xff", "%ED%A0%80"])
def test_a_header_that_is_not_utf_8_is_refused(sent: str) -> None:
    with pytest.raises(RequestError, match="the header ce-subject is not UTF-8"):
        binary({"subject": sent})


@pytest.mark.slow
@given(st.text())
def test_every_text_survives_its_way_through_a_header(text: str) -> None:
    value = encode(text)
    assert all(0x21 <= byte <= 0x7E and byte != 0x22 for byte in value)
    assert decode(value.decode("ascii")) == text


# -- which form it is --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents-batch+json",
        "application/cloudevents-batch+json; charset=utf-8",
        "application/cloudevents+avro",
        "application/cloudevents",
        "Application/CloudEvents+XML",
    ],
)
def test_a_batch_and_other_formats_are_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="is not taken; send"):
        read_event([*HEADERS, ("content-type", content_type)], b"[]")


def test_a_request_without_headers_of_an_event_is_told_what_to_send() -> None:
    with pytest.raises(RequestError, match=r"no event: .* send ce-specversion, ce-id"):
        read_event([("content-type", "application/json")], b"{}")


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ([*HEADERS, ("ce-id", "2")], "came twice"),
        ([*HEADERS, ("ce-datacontenttype", "text/plain")], "Content-Type stands for it"),
        ([*HEADERS, ("ce-my-extension", "x")], "cannot name an attribute"),
        ([*HEADERS, ("ce-data", "x")], "cannot name an attribute"),
        ([*HEADERS, ("content-type", "a/b"), ("content-type", "a/b")], "2 Content-Type headers"),
        ([*HEADERS, ("content-type", "xyz")], "expected a media type"),
        (HEADERS[:-1], "no `source`.*the attribute `id` is the header ce-id"),
    ],
)
def test_headers_that_make_no_event_are_refused(headers: list[tuple[str, str]], why: str) -> None:
    with pytest.raises(RequestError, match=why):
        read_event(headers, b"")


# -- data --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "body", "data"),
    [
        ("application/json", b'{"a": 1}', {"a": 1}),
        ("application/vnd.example+json", b"[1]", [1]),
        ("text/json", b'"x"', "x"),
        ("text/plain", "\u20ac".encode(), "\u20ac"),
        ("text/plain; charset=latin-1", b"\xe4", "ä"),
        ("application/xml", b"<a/>", "<a/>"),
        ("image/svg+xml", b"<svg/>", "<svg/>"),
        ("application/octet-stream", b"\xff\x00", b"\xff\x00"),
        ("application/json", b"", None),
        ("application/json", b"null", None),
    ],
)
def test_the_data_is_the_same_in_both_forms(content_type: str, body: bytes, data: object) -> None:
    assert binary({}, body, content_type).data == data
    encoded = base64.b64encode(body).decode()
    sent = MINIMAL | {"datacontenttype": content_type, "data_base64": encoded}
    assert structured(sent).data == data
    if not isinstance(data, bytes):
        plain = MINIMAL | {"datacontenttype": content_type, "data": data}
        assert structured(plain).data == data


def test_data_in_json_without_a_type_is_json() -> None:
    assert structured(MINIMAL | {"data": "I'm just a string"}).data == "I'm just a string"
    assert structured(MINIMAL | {"data": {"a": [None]}}).data == {"a": [None]}


@pytest.mark.parametrize(("body", "data"), [(b'{"a": 1}', {"a": 1}), (b"\xff{", b"\xff{")])
def test_a_body_without_a_type_is_json_or_else_bytes(body: bytes, data: object) -> None:
    assert read_event(HEADERS, body).data == data
    encoded = base64.b64encode(body).decode()
    assert structured(MINIMAL | {"data_base64": encoded}).data == data


@pytest.mark.parametrize(
    ("content_type", "body", "why"),
    [
        ("application/json", b"{", "is not JSON, but its type is 'application/json'"),
        ("text/plain", b"\xff", "is not 'text/plain'"),
        ("text/plain; charset=klingon", b"x", "this charset is unknown"),
    ],
)
def test_data_that_is_not_what_its_type_says_is_refused(
    content_type: str, body: bytes, why: str
) -> None:
    with pytest.raises(RequestError, match=why):
        binary({}, body, content_type)


@pytest.mark.parametrize(
    "charset",
    [
        "utf-8", "UTF8", "us-ascii", "ascii", "latin1", "latin-1", "utf-16", "UTF-16LE", "utf-16-be",
        "utf-32", "utf-32be", *(f"iso-8859-{part}" for part in range(1, 17) if part != 12),
        "ISO_8859-1", "iso8859-15", *(f"windows-125{part}" for part in range(9)), "cp1252",
    ],
)  # fmt: skip
def test_a_charset_that_is_in_use_is_decoded(charset: str) -> None:
    event = binary({}, "abc".encode(charset), f"text/plain; charset={charset}")
    assert event.data == "abc"


@pytest.mark.parametrize(
    "charset", ["punycode", "idna", "utf-7", "unicode_escape", "rot13", "zlib", "iso-8859-12"]
)
def test_a_sender_chooses_no_other_codec(charset: str) -> None:
    with pytest.raises(RequestError, match="this charset is unknown; expected UTF-8"):
        binary({}, b"abc", f"text/plain; charset={charset}")


# -- whatever is sent --------------------------------------------------------------------------

NAMES = st.sampled_from(
    [*HEADERS, *((name, "x") for name in ("ce-", "ce-time", "ce-a", "ce-A", "content-type"))]
).map(lambda pair: pair[0])
HEADER = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=20)
TYPES = st.sampled_from([STRUCTURED, "application/json", "text/plain", "a/b; charset=utf-16", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=3,
)


def outcome(read: Callable[[], CloudEvent]) -> CloudEvent | RequestError:
    """Return the event with all that it must have, or a refusal that can be printed."""
    try:
        event = read()
    except RequestError as error:
        refusal = error
    else:
        assert set(MINIMAL) <= set(event)
        return event
    assert str(refusal).isprintable()
    return refusal


@pytest.mark.slow
@given(st.lists(st.tuples(NAMES, HEADER)), TYPES, st.binary(max_size=40), st.booleans())
def test_whatever_is_sent_is_an_event_or_a_refusal(
    headers: list[tuple[str, str]], content_type: str, body: bytes, complete: bool
) -> None:
    sent = [*(HEADERS if complete else []), *headers, ("content-type", content_type)]
    found = outcome(lambda: read_event(sent, memoryview(body)))
    assert isinstance(found, CloudEvent) or found.status in (400, 415)


@pytest.mark.slow
@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from([*MINIMAL, "time", "data", "data_base64", "x"]), JSON))
def test_whatever_object_is_sent_is_an_event_or_a_refusal(changes: dict[str, Any]) -> None:
    outcome(lambda: structured(MINIMAL | changes))
