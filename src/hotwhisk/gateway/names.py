"""Check and join the names of entities. Source: apache/openwhisk, docs/reference.md."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"\A([\w]|[\w][\w@ .&-]{0,254}[\w@.&-])\Z")


def is_name(text: str) -> bool:
    """Return whether an entity or a namespace may have this name."""
    return _NAME.match(text) is not None


def joined(*parts: str) -> str:
    """Return the parts of a name with slashes between them; an empty one is left out."""
    return "/".join(part for part in parts if part)
