"""Tell which media types are JSON, which are text, and which are binary, as Akka HTTP does."""

from __future__ import annotations

import re
from typing import Final

_MEDIA_TYPE: Final = re.compile(r"([\w!#$&^.+-]+)/([\w!#$&^.+-]+)\s*(;.*)?", re.DOTALL)
_TEXT_SUBTYPES: Final = {
    "ecmascript", "javascript", "json", "x-www-form-urlencoded", "xml", "yaml",
}  # fmt: skip


def media_type(content_type: str) -> str | None:
    """Return the type without its parameters, in lower case; None if it is not valid."""
    found = _MEDIA_TYPE.fullmatch(content_type.strip())
    return f"{found[1]}/{found[2]}".lower() if found else None


def is_json(kind: str) -> bool:
    """Return whether a type is JSON, such as ``application/json`` or one that ends in ``+json``."""
    return kind == "application/json" or kind.endswith("+json")


def is_binary(kind: str) -> bool:
    """Return whether a body of a type is carried in base64, since it need not be a text."""
    main, _, sub = kind.partition("/")
    if main == "text" or is_json(kind):
        return False
    return main != "application" or not (sub in _TEXT_SUBTYPES or sub.endswith("+xml"))
