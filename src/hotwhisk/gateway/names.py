"""The rule for names of entities and namespaces. Source: apache/openwhisk, docs/reference.md."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"\A([\w]|[\w][\w@ .&-]{0,254}[\w@.&-])\Z")


def is_name(text: str) -> bool:
    """Return whether an entity or a namespace may have this name."""
    return _NAME.match(text) is not None
