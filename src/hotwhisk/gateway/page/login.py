"""Log in with the key of a namespace, and log out."""

from __future__ import annotations

from base64 import b64encode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hotwhisk.config.options import is_loopback
from hotwhisk.gateway.api.authentication import gateway_of, namespace_of
from hotwhisk.gateway.page import sessions
from hotwhisk.gateway.page.forms import form
from hotwhisk.gateway.page.origins import is_own
from hotwhisk.gateway.page.rendering import error_page, render


def show(request: Request) -> Response:
    """Show the form that takes a key."""
    return _form(request, 200)


async def post(request: Request) -> Response:
    """
    Log in, and go on to the page.

    A file that the gateway has written for its owner sends the same form; the origin of a file is
    ``null``. Who sends a form from there must know the key.
    """
    if request.headers.get("origin") != "null" and not is_own(request):
        return error_page(request, 403, "Another site has sent this form: log in on the page.")
    key = (await form(request)).get("key", "").strip()
    credentials = b64encode(key.encode()).decode()
    store = gateway_of(request).store
    namespace = await run_in_threadpool(namespace_of, store, f"Basic {credentials}")
    if namespace is None:
        return _form(request, 403)
    # Not a redirect: after a form from a file, a browser would follow it without the cookie.
    response = render(request, "welcome.html")
    sessions.begin(request, response, namespace)
    return response


def _form(request: Request, status: int) -> Response:
    """Return the form; other machines are not shown where the data lies."""
    settings = gateway_of(request).settings
    command = settings.key_command if is_loopback(settings.host) else "hotwhisk up key"
    return render(request, "login.html", status, wrong=status == 403, command=command)


def leave(request: Request) -> Response:
    """Log out."""
    response = RedirectResponse("/login", 303)
    sessions.end(request, response)
    return response
