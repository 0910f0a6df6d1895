"""
An event, and the rules for its attributes.

The class has the shape of the class of that name in the CloudEvents SDK for Python, without
depending on it: ``event["type"]``, ``event.get("subject")``, ``event.data``.

Source of the rules: CloudEvents 1.0.2, sections "Attributes" and "Type System".
"""

from __future__ import annotations

import re

from hotwhisk.cloudevents.event_data import is_media_type, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Final

    Attribute = str | bool | int

VERSION: Final = "1.0"
REQUIRED: Final = ("specversion", "id", "source", "type")
OPTIONAL: Final = ("datacontenttype", "dataschema", "subject", "time")

_NAME: Final = re.compile(r"[a-z0-9]+")
_ILLEGAL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TIME: Final = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


class CloudEvent:
    """
    An event: its attributes by name, and its ``data``.

    An attribute is a text; one of an event in JSON may also be a boolean or an integer. ``data`` is
    a value of JSON, a text or bytes, as ``datacontenttype`` says; None if there is none.
    """

    __slots__ = ("_attributes", "data")

    def __init__(self, attributes: Mapping[str, Attribute], data: object = None) -> None:
        self._attributes = dict(attributes)
        self.data = data

    def __getitem__(self, name: str) -> Attribute:
        return self._attributes[name]

    def get(self, name: str, default: Attribute | None = None) -> Attribute | None:
        """Return an attribute, or ``default`` if the event does not have it."""
        return self._attributes.get(name, default)

    def get_attributes(self) -> dict[str, Attribute]:
        """Return all attributes by name."""
        return dict(self._attributes)

    def get_data(self) -> object:
        """Return ``data``."""
        return self.data

    def __contains__(self, name: str) -> bool:
        return name in self._attributes

    def __iter__(self) -> Iterator[str]:
        return iter(self._attributes)

    def __len__(self) -> int:
        return len(self._attributes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CloudEvent):
            return NotImplemented
        return self._attributes == other._attributes and self.data == other.data

    __hash__ = None  # type: ignore[assignment]  # `data` can be changed

    def __repr__(self) -> str:
        return f"CloudEvent({self._attributes!r}, {self.data!r})"


def check_attributes(attributes: Mapping[str, object]) -> None:
    """
    Check the names and the values of the attributes of an event.

    Raises:
        ValueError: a required one is missing, or one is not as the specification demands.
    """
    for name in REQUIRED:
        if name not in attributes:
            raise ValueError(f"the event has no `{name}`; expected {', '.join(REQUIRED)}")
    for name, value in attributes.items():
        _check_name(name)
        if name in REQUIRED or name in OPTIONAL:
            _check_core(name, value)
        elif type(value) not in (str, bool, int):
            raise ValueError(
                f"the attribute `{name}` is {shown(value)}; expected a text, a boolean or an "
                "integer: what has more structure belongs into the data"
            )
        if type(value) is str and _ILLEGAL.search(value):
            raise ValueError(
                f"the attribute `{name}` holds a control character or half of a surrogate pair: "
                f"{shown(value)}; remove it"
            )


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name == "data":
        raise ValueError(
            f"{shown(name)} cannot name an attribute; expected lower-case letters and digits, "
            "and not `data`"
        )


def _check_core(name: str, value: object) -> None:
    """Check an attribute that the specification itself defines: a text that is not empty."""
    if type(value) is not str or not value:
        raise ValueError(f"`{name}` is {shown(value)}; expected a text that is not empty")
    if name == "specversion" and value != VERSION:
        raise ValueError(f'`{name}` is {shown(value)}; expected "{VERSION}"')
    if name == "time" and not _TIME.fullmatch(value):
        raise ValueError(
            f"`{name}` is {shown(value)}; expected date and time as in 2018-04-05T17:31:00Z (RFC 3339)"
        )
    if name == "datacontenttype" and not is_media_type(value):
        raise ValueError(
            f"`{name}` is {shown(value)}; expected a media type, such as application/json"
        )
