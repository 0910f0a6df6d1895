"""
Read an event from a request: in the binary form, or in the structured form as JSON.

In the binary form the attributes are headers that begin with ``ce-``, and the body is the data. In
the structured form the body is a JSON object with attributes and data. The ``Content-Type`` says
which form it is. Batches are refused: a sender may use them only if the receiver asked for them.

Source: HTTP Protocol Binding for CloudEvents 1.0.2, section 3, and the JSON Event Format.
"""

from __future__ import annotations

from binascii import Error, a2b_base64

from hotwhisk import json_codec
from hotwhisk.cloudevents import header_values
from hotwhisk.cloudevents.cloud_event import CloudEvent, check_attributes
from hotwhisk.cloudevents.event_data import JSON, decode_data, is_json, shown
from hotwhisk.errors import RequestError, UnsupportedMediaType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from hotwhisk.cloudevents.cloud_event import Attribute

PREFIX: Final = "ce-"
STRUCTURED: Final = "application/cloudevents+json"
ENCODED: Final = "data_base64"

_EVENTS: Final = "application/cloudevents"
_BATCH: Final = "application/cloudevents-batch"


def read_event(headers: Sequence[tuple[str, str]], body: bytes | memoryview) -> CloudEvent:
    """
    Read the event in a request. The names of the ``headers`` are in lower case.

    Raises:
        UnsupportedMediaType: it is a batch, or an event in another format than JSON.
        RequestError: it is no event, or not a valid one.
    """
    types = [value for name, value in headers if name == "content-type"]
    if len(types) > 1:
        raise RequestError(f"{len(types)} Content-Type headers; expected one")
    content_type = types[0] if types else ""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type.startswith(_BATCH):
        raise UnsupportedMediaType(
            f"a batch of events is not taken; send each event alone, as {STRUCTURED}"
        )
    if media_type.startswith(_EVENTS) and media_type != STRUCTURED:
        raise UnsupportedMediaType(
            f"an event as {shown(content_type)} is not taken; send {STRUCTURED}, or headers ce-…"
        )
    try:
        if media_type == STRUCTURED:
            return event_of(_document(body))
        return _read_binary(headers, content_type, body)
    except ValueError as error:
        raise RequestError(str(error)) from None


def event_of(document: Mapping[str, object]) -> CloudEvent:
    """
    Return the event that an object of the JSON format describes.

    Raises:
        ValueError: it is not a valid event.
    """
    attributes = {name: value for name, value in document.items() if value is not None}
    data, encoded = attributes.pop("data", None), attributes.pop(ENCODED, None)
    check_attributes(attributes)
    checked: dict[str, Attribute] = attributes  # type: ignore[assignment]  # just checked
    media_type = str(checked.get("datacontenttype", ""))
    if encoded is not None:
        if "data" in document:
            raise ValueError(f"the event has both `data` and `{ENCODED}`; expected one of them")
        content = _from_base64(encoded)
        return CloudEvent(checked, decode_data(content, media_type) if content else None)
    if isinstance(data, (bytes, str)) or data is None or is_json(media_type or JSON):
        return CloudEvent(checked, data)
    raise ValueError(
        f"`data` is {shown(data)}; expected a text, as its type is {shown(media_type)}"
    )


def _document(body: bytes | memoryview) -> dict[str, object]:
    """Return the JSON object of an event in the structured form."""
    try:
        document = json_codec.loads(body)
    except RecursionError:
        raise ValueError("the event is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"the event is not JSON: {error}") from None
    if type(document) is not dict:
        raise ValueError(f"the event is {shown(document)}; expected a JSON object")
    return document


def _from_base64(encoded: object) -> bytes:
    try:
        if type(encoded) is str:
            return a2b_base64(encoded.encode("ascii"), strict_mode=True)
    except (Error, UnicodeEncodeError):
        pass
    raise ValueError(f"`{ENCODED}` is {shown(encoded)}; expected a text in base64")


def _read_binary(
    headers: Sequence[tuple[str, str]], content_type: str, body: bytes | memoryview
) -> CloudEvent:
    attributes: dict[str, Attribute] = {}
    for header, value in headers:
        if not header.startswith(PREFIX):
            continue
        name = header.removeprefix(PREFIX)
        if name in attributes:
            raise ValueError(f"the header {header} came twice; send it once")
        if name == "datacontenttype":
            raise ValueError(
                "the header ce-datacontenttype is not allowed; the Content-Type stands for it"
            )
        try:
            attributes[name] = header_values.decode(value)
        except UnicodeDecodeError as error:
            raise ValueError(
                f"the header {header} is not UTF-8: {error}; write what is not ASCII as %XX"
            ) from None
    if not attributes:
        raise ValueError(
            f"no event: there is no header that begins with {PREFIX}, and the Content-Type is "
            f"{shown(content_type)}; send ce-specversion, ce-id, ce-source and ce-type, or a "
            f"JSON object as {STRUCTURED}"
        )
    if content_type:
        attributes["datacontenttype"] = content_type
    try:
        check_attributes(attributes)
    except ValueError as error:
        raise ValueError(f"{error} (the attribute `id` is the header ce-id)") from None
    return CloudEvent(attributes, decode_data(body, content_type) if len(body) else None)
