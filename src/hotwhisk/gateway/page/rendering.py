"""Turn templates into answers. Everything is escaped; no page runs a script but our own file."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from hotwhisk.gateway.api.authentication import gateway_of
from hotwhisk.gateway.api.errors import WHERE, unknown_route
from hotwhisk.gateway.names import joined
from hotwhisk.gateway.store.namespaces import Namespace
from hotwhisk.sizes import show_size

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class PageError(Exception):
    """A request that a page cannot answer; the text says why, and what to do."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def render(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """Return a page. Templates find the request, and what they are given."""
    text = _ENVIRONMENT.get_template(template).render(request=request, **values)
    # A result may hold half a surrogate pair, which JSON can name and UTF-8 cannot.
    return HTMLResponse(text.encode("utf-8", "replace"), status, HEADERS)


def view(
    request: Request, namespace: Namespace, template: str, status: int = 200, **values: Any
) -> Response:
    """Return a page of a namespace; ``section`` names the entry of the menu."""
    problems = gateway_of(request).problems.of(namespace.name)
    return render(request, template, status, namespace=namespace, problems=problems, **values)


def error_page(request: Request, status: int, text: str) -> Response:
    """Return a page that says what is wrong."""
    title, _, more = text.partition("\n")
    return render(request, "error.html", status, title=title, more=more)


def on_page_error(request: Request, error: Exception) -> Response:
    """Return the answer for a `PageError`."""
    assert isinstance(error, PageError)
    return error_page(request, error.status, error.text)


def on_unknown_path(request: Request, error: Exception) -> Response:
    """Return the answer for a path that does not exist: a page for browsers, else the API's."""
    wants_page = "text/html" in request.headers.get("accept", "")
    if request.url.path.startswith("/api/") or not wants_page:
        return unknown_route(request, error)
    return error_page(request, 404, "There is no such page.")


def on_login_needed(request: Request, error: Exception) -> Response:
    """
    Return the answer for a request without a session: the way to the form.

    A client that sends a key in a header looks for the API, which is elsewhere.
    """
    if "authorization" in request.headers:
        return unknown_route(request, error)
    return PlainTextResponse(f"{WHERE}\n", 303, {"Location": "/login"})


def milliseconds(value: float | None) -> str:
    """Return a time for people: ``12 ms``, ``1.25 s``."""
    if value is None:
        return "–"
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.3g} s"


def moment(value: int) -> str:
    """Return when something was, in the machine's time: only the time of day if it was today."""
    then = datetime.fromtimestamp(value / 1000).astimezone()
    today = datetime.fromtimestamp(time.time()).astimezone().date()
    return then.strftime("%H:%M:%S" if then.date() == today else "%Y-%m-%d %H:%M:%S")


def iso(value: int) -> str:
    """Return when something was, for programs."""
    return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds")


def pretty(value: object) -> str:
    """Return a JSON value on several lines, with indentation."""
    try:
        return json.dumps(value, indent=2, ensure_ascii=False)
    except RecursionError:
        return "It is nested too deeply to be shown here."


def on_one_line(value: object) -> str:
    """Return a JSON value on one line."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "…"


def path(*parts: str) -> str:
    """Return parts as a path; an empty one is left out."""
    return joined(*(quote(part, safe="") for part in parts))


_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("hotwhisk.gateway.page"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(
    iso=iso,
    milliseconds=milliseconds,
    moment=moment,
    on_one_line=on_one_line,
    pretty=pretty,
    size=show_size,
)
_ENVIRONMENT.globals.update(path=path)
