"""
Write the answer to an event: what the handler returned.

Nothing is an empty answer with the status 204. A dict with the key ``specversion`` is an event in
the form of the JSON format, and so is an object with the methods ``get_attributes`` and
``get_data``, as the classes of the CloudEvents SDK for Python have them. An event is answered in
the binary form. The caller of `reply_with` writes all else.
"""

from __future__ import annotations

from binascii import b2a_base64

from hotwhisk import json_codec
from hotwhisk.cloudevents import header_values
from hotwhisk.cloudevents.cloud_event import CloudEvent, check_attributes
from hotwhisk.cloudevents.event_data import BYTES, JSON, encode_data
from hotwhisk.cloudevents.event_reader import event_of
from hotwhisk.errors import BadResult
from hotwhisk.http1.http1 import HttpResponse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hotwhisk.cloudevents.cloud_event import Attribute

    NewAttributes = Callable[[], Mapping[str, object]]
    """Returns the attributes that an event gets if its author left them out."""


NO_CONTENT = HttpResponse(204, b"", b"")
"""A response with this status has no body, and no length of one (RFC 9110, section 8.6)."""


def json_reply(body: bytes) -> HttpResponse:
    """Return the reply with a body that is JSON."""
    return HttpResponse(200, _content_type(JSON) + _length(body), body)


def reply_with(
    result: object, new_attributes: NewAttributes, overrides: Mapping[str, object] | None = None
) -> HttpResponse | None:
    """
    Return the reply if a handler returned nothing or an event; None for any other result.

    An event gets the attributes in ``overrides``, whatever it had.

    Raises:
        BadResult: it is meant as an event, and is not a valid one.
    """
    if result is None:
        return NO_CONTENT
    try:
        event = _event(result, new_attributes)
        if event is not None and overrides:
            attributes = {**event.get_attributes(), **overrides}
            check_attributes(attributes)
            event = CloudEvent(attributes, event.data)  # type: ignore[arg-type]  # just checked
        return None if event is None else _write(event)
    except (ValueError, TypeError, RecursionError) as error:
        json_codec.close_coroutines(result)
        raise BadResult(f"the handler returned an event that cannot be sent: {error}") from None


def _event(result: object, new_attributes: NewAttributes) -> CloudEvent | None:
    """Return the event that a result is; None if it is none."""
    if isinstance(result, CloudEvent):
        return result
    if isinstance(result, dict):
        if "specversion" not in result:
            return None
        return event_of(_completed(result, new_attributes))
    if hasattr(type(result), "get_attributes") and hasattr(type(result), "get_data"):
        given = result.get_attributes()  # type: ignore[attr-defined]  # just looked for
        attributes = _completed(given, new_attributes)
        check_attributes(attributes)
        data = result.get_data()  # type: ignore[attr-defined]  # as above
        return CloudEvent(attributes, data)  # type: ignore[arg-type]  # just checked
    return None


def _completed(given: Mapping[str, object], new_attributes: NewAttributes) -> dict[str, object]:
    """Return what an event has, in the form of JSON, with an id and a time."""
    found = {name: _value(value, name) for name, value in given.items() if value is not None}
    return {**new_attributes(), **found}


def _value(value: object, name: str) -> object:
    """Return an attribute as JSON has it: a time as text, bytes in base64."""
    if name == "data":
        return value
    if isinstance(value, (bytes, bytearray)):
        return b2a_base64(value, newline=False).decode()
    if hasattr(type(value), "isoformat"):
        return value.isoformat().replace("+00:00", "Z")  # type: ignore[attr-defined]  # as above
    return value


def _write(event: CloudEvent) -> HttpResponse:
    """Return an event in the binary form."""
    lines, media_type, data = b"", event.get("datacontenttype"), event.data
    for name in event:
        if name != "datacontenttype":
            lines += b"ce-%s: %s\r\n" % (name.encode(), _header(event[name]))
    if data is not None and not media_type:
        media_type = BYTES if isinstance(data, (bytes, bytearray, memoryview)) else JSON
    if media_type:
        lines += _content_type(str(media_type))
    body = b"" if data is None else encode_data(data, str(media_type))
    return HttpResponse(200, lines + _length(body), body)


def _header(value: Attribute) -> bytes:
    text = str(value)
    return header_values.encode(text.lower() if isinstance(value, bool) else text)


def _content_type(media_type: str) -> bytes:
    return b"Content-Type: %s\r\n" % media_type.encode("ascii")


def _length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % len(body)
