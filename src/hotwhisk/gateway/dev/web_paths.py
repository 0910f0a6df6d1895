"""Answer ``/NAME`` as the web action of that name."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hotwhisk.gateway.dev.project import DEFAULT_PACKAGE
from hotwhisk.gateway.settings import DEFAULT_NAMESPACE

_WEB: Final = f"/api/v1/web/{DEFAULT_NAMESPACE}"


class WebPaths:
    """
    ASGI middleware: the path of an action becomes the path of its web action.

    ``names`` returns the names of the actions that there are now, with their packages. ``failure``
    returns the traceback of an activation, or an empty text. It is the answer to a call that
    failed, since the platform's answer does not say why.
    """

    def __init__(
        self, app: ASGIApp, names: Callable[[], Collection[str]], failure: Callable[[str], str]
    ) -> None:
        self._app = app
        self._names = names
        self._failure = failure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, under its other path if it has one."""
        names = self._names() if scope["type"] == "http" else ()
        path = web_path(scope["path"], names) if names else ""
        if not path:
            await self._app(scope, receive, send)
            return
        explained = False

        async def send_or_explain(message: Message) -> None:
            nonlocal explained
            if message["type"] == "http.response.start" and message["status"] >= 400:
                named = Headers(raw=message["headers"])
                text = self._failure(named.get("x-openwhisk-activation-id", ""))
                if text:
                    explained = True
                    await PlainTextResponse(text, 500)(scope, receive, send)
            if not explained:
                await send(message)

        raw = web_path(scope["raw_path"].decode("latin-1"), names) or quote(path)
        scope = {**scope, "path": path, "raw_path": raw.encode("latin-1")}
        await self._app(scope, receive, send_or_explain)


def web_path(path: str, names: Collection[str]) -> str:
    """Return the path of a web action, or an empty text if the path names no action."""
    first, _, rest = path.removeprefix("/").partition("/")
    second, _, below = rest.partition("/")
    if _name(first) in names:
        return _joined(DEFAULT_PACKAGE, first, rest)
    if f"{first}/{_name(second)}" in names:
        return _joined(first, second, below)
    return ""


def _name(part: str) -> str:
    """Return a part of a path without the extension that says what is wanted."""
    return part.partition(".")[0]


def _joined(*parts: str) -> str:
    return "/".join([_WEB, *(part for part in parts if part)])
