"""
Answer ``/NAME`` as the web action of that name.

The gateway's own paths, such as ``/login``, are never those of an action.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hotwhisk.gateway.api import routes as api
from hotwhisk.gateway.api.web_response import split_extension
from hotwhisk.gateway.dev.project import DEFAULT_PACKAGE
from hotwhisk.gateway.names import joined
from hotwhisk.gateway.page import routes as page
from hotwhisk.gateway.settings import DEFAULT_NAMESPACE

_WEB: Final = f"/api/v1/web/{DEFAULT_NAMESPACE}"
_EMPTY: Final = 204
OWN: Final = frozenset(
    route.path.split("/")[1]
    for route in (*api.routes(), *page.routes())
    if isinstance(route, Route | Mount)
)
"""The first parts of the gateway's own paths."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer: of which action, its status, and the activation's id, empty if there is none."""

    action: str
    status: int
    activation: str


class WebPaths:
    """
    ASGI middleware: the path of an action becomes the path of its web action.

    ``names`` returns the names of the actions that there are now, with their packages; it must not
    wait for anything. ``explain`` is called in a thread with answers that are empty or say that a
    call failed; the platform's do not say why. It returns what is sent in their place, such as a
    traceback, or an empty text.
    """

    def __init__(
        self, app: ASGIApp, names: Callable[[], Collection[str]], explain: Callable[[Answered], str]
    ) -> None:
        self._app = app
        self._names = names
        self._explain = explain

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
            if message["type"] == "http.response.start":
                activation = Headers(raw=message["headers"]).get("x-openwhisk-activation-id", "")
                answered = Answered(_action(path), message["status"], activation)
                plain = answered.status < 400 and answered.status != _EMPTY
                text = "" if plain else await run_in_threadpool(self._explain, answered)
                if text:
                    explained = True
                    await PlainTextResponse(text, 500)(scope, receive, send)
            if not explained:
                await send(message)

        raw = web_path(scope["raw_path"].decode("latin-1"), names) or quote(path)
        scope = {**scope, "path": path, "raw_path": raw.encode("latin-1")}
        await self._app(scope, receive, send_or_explain)


class WebPathHints:
    """
    ASGI middleware that tells the user, once for each action, what ``--web`` would do.

    The client learns nothing, since it has no key.
    """

    def __init__(
        self, app: ASGIApp, names: Callable[[], Collection[str]], say: Callable[[str], None]
    ) -> None:
        self._app = app
        self._names = names
        self._say = say
        self._said: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on as it is."""
        path = web_path(scope["path"], self._names()) if scope["type"] == "http" else ""
        if path and _action(path) not in self._said:
            self._said.add(_action(path))
            text = (
                f"/{_action(path)} was asked for, and without --web an action is called with the "
                "key only: start hotwhisk dev with --web to call it there"
            )
            await run_in_threadpool(self._say, text)
        await self._app(scope, receive, send)


def web_path(path: str, names: Collection[str]) -> str:
    """Return the path of a web action, or an empty text if the path names no action."""
    first, _, rest = path.removeprefix("/").partition("/")
    second, _, below = rest.partition("/")
    if first in OWN:
        return ""
    if f"{first}/{_name(second)}" in names:
        return joined(_WEB, first, second, below)
    if _name(first) in names:
        return joined(_WEB, DEFAULT_PACKAGE, first, rest)
    return ""


def address(action: str) -> str:
    """Return the path at which an action is called, and why if it is not that of its name."""
    first = action.partition("/")[0]
    if first not in OWN:
        return quote(f"/{action}")
    full = f"{_WEB}/{action}" if "/" in action else joined(_WEB, DEFAULT_PACKAGE, action)
    return f"{quote(full)} (/{first} is a page or route of hotwhisk)"


def _action(path: str) -> str:
    """Return the name of the action in the path of a web action, with its package."""
    package, name = path.removeprefix(f"{_WEB}/").split("/")[:2]
    return _name(name) if package == DEFAULT_PACKAGE else f"{package}/{_name(name)}"


def _name(part: str) -> str:
    """Return a part of a path without the extension that says what is wanted."""
    return split_extension(part)[0]
