"""
Make the argument of a web action from a request.

The query and a body of fields become parameters. What else there is in a request has names that
begin with ``__ow_``. A raw web action gets query and body as they came. Source: docs/webactions.md
and ``WebActions.scala`` of apache/openwhisk.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from hotwhisk.gateway.api.media_types import is_binary, is_json, media_type
from hotwhisk.gateway.api.reading import any_json

RESERVED: Final = frozenset(
    {"__ow_method", "__ow_headers", "__ow_path", "__ow_user", "__ow_query", "__ow_body"}
)
_UNKNOWN: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class WebRequest:
    """
    A request to a web action.

    ``path`` is what follows the name of the action, ``query`` the text behind the question mark,
    both as they came. ``user`` is the namespace of the key, or None without one.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(hash=False)
    body: bytes
    user: str | None = None

    def argument(self, *, raw: bool) -> dict[str, Any]:
        """
        Return the argument of the action.

        Raises:
            ApiError: 400, the body is not what its type says.
        """
        argument: dict[str, Any] = {
            "__ow_method": self.method.lower(),
            "__ow_headers": dict(self.headers),
            "__ow_path": self.path,
        }
        if self.user is not None:
            argument["__ow_user"] = self.user
        if raw:
            return {**argument, "__ow_query": self.query, "__ow_body": self._opaque_body()}
        return {**argument, **self.parameters()}

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the query, and of the body over them."""
        query = dict(parse_qsl(self.query, keep_blank_values=True))
        body = self._body()
        if body is None:
            return query
        return {**query, **body} if isinstance(body, dict) else {**query, "__ow_body": body}

    def overrides(self, final: frozenset[str]) -> bool:
        """Return whether the request sets a parameter that it must not set."""
        body = self._body()
        names = {name for name, _ in parse_qsl(self.query, keep_blank_values=True)}
        if isinstance(body, dict):
            names |= body.keys()
        return bool(names & (RESERVED | final))

    @property
    def _type(self) -> str:
        return media_type(self.headers.get("content-type", "")) or _UNKNOWN

    def _body(self) -> Any:
        """Return the body as a value; None if there is none."""
        if not self.body:
            return None
        if is_json(self._type):
            return any_json(self.body)
        if self._type == "application/x-www-form-urlencoded":
            text = self.body.decode("utf-8", "replace")
            return dict(parse_qsl(text, keep_blank_values=True))
        return self._opaque_body()

    def _opaque_body(self) -> str:
        """Return the body as a text: in base64 if it is binary or, for old clients, JSON."""
        if is_binary(self._type) or self._type == "application/json":
            return base64.b64encode(self.body).decode()
        return self.body.decode("utf-8", "replace")
