"""
Post an event that a handler returned to the sink of Knative, if there is one.

A SinkBinding says by variables where the events of a service go: K_SINK is a URL, K_CE_OVERRIDES
has attributes that each event gets, K_CA_CERTS the certificates to trust besides the system's.

The library for HTTP is imported for the first such event, because few servers have a sink.

Source: knative.dev/docs, "SinkBinding reference".
"""

from __future__ import annotations

from hotwhisk import json_codec
from hotwhisk.action.isolation import server_modules, variable
from hotwhisk.errors import BadResult
from hotwhisk.worker.part_stream import print_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    import http.client
    from types import ModuleType
    from typing import Any, Final
    from urllib.parse import SplitResult

    from hotwhisk.http1.http1 import HttpResponse

SINK: Final = "K_SINK"
OVERRIDES: Final = "K_CE_OVERRIDES"
CERTIFICATES: Final = "K_CA_CERTS"

LIMIT: Final = 30.0
"""Seconds that each step of a delivery may take."""


class _Library:
    """Holds the modules that a delivery needs, once they are imported."""

    modules: tuple[ModuleType, ModuleType, ModuleType] | None = None


def sink_url() -> str:
    """Return where events go; empty if they are the reply."""
    return variable(SINK)


def overrides() -> dict[str, object]:
    """
    Return the attributes that each event to the sink gets.

    Raises:
        BadResult: the variable does not hold what it must.
    """
    text = variable(OVERRIDES)
    try:
        found = json_codec.loads(text.encode()) if text else {}
    except (ValueError, RecursionError):
        found = None
    extensions = found.get("extensions", {}) if isinstance(found, dict) else None
    if not isinstance(extensions, dict):
        raise BadResult(
            f'{OVERRIDES} is not valid; expected JSON such as {{"extensions": {{"team": "a"}}}}'
        )
    return extensions


class Delivery:
    """An event on its way to the sink. Make it in the main thread, where modules are imported."""

    def __init__(self, url: str, event: HttpResponse) -> None:
        if _Library.modules is None:
            with server_modules():  # the action may have modules of these names
                import http.client
                import ssl
                import urllib.parse

                _Library.modules = http.client, ssl, urllib.parse
        self.url = url
        self._event = event
        self._client, self._tls, self._parse = _Library.modules

    def send(self) -> str:
        """
        Post the event; return an error if the sink does not have it, else an empty text.

        The error goes to the sender of the event that was handled, so it has nothing of the URL. A
        line on stderr has more.
        """
        client: Any = self._client
        where = f"in {SINK}"
        try:
            target = self._split()
            where = f"{target.scheme}://{target.netloc}{target.path}"
            connection = self._connect(target)
            lines = [line.split(b": ", 1) for line in self._event.headers.splitlines()]
            try:
                path = f"{target.path or '/'}{target.query and '?'}{target.query}"
                connection.request("POST", path, self._event.body, dict(lines))  # type: ignore[arg-type]  # bytes will do
                status = connection.getresponse().status
            finally:
                connection.close()
        except (OSError, ValueError, client.HTTPException) as error:
            print_line(f"the sink {where} cannot be reached: {type(error).__name__}: {error}")
            return "the sink cannot be reached, so the event that the handler returned is lost"
        if 200 <= status < 300:
            return ""
        print_line(f"the sink {where} did not take an event: {status}")
        return f"the sink did not take the event that the handler returned: {status}"

    def _split(self) -> SplitResult:
        """
        Return the parts of the URL. An error repeats nothing of it, as it may hold a password.

        Raises:
            ValueError: it is no URL, or not one that can be used.
        """
        wrong = ValueError("expected a URL that begins with http:// or https://")
        try:
            target: SplitResult = self._parse.urlsplit(self.url)
            usable = bool(target.hostname) and target.port != 0
        except ValueError:
            raise wrong from None
        if not usable or target.scheme not in ("http", "https"):
            raise wrong
        if "@" in target.netloc:
            raise ValueError("expected a URL without a user name and a password")
        return target

    def _connect(self, target: SplitResult) -> http.client.HTTPConnection:
        client: Any = self._client
        if target.scheme == "https":
            context = self._tls.create_default_context()
            if certificates := variable(CERTIFICATES):
                context.load_verify_locations(cadata=certificates)
            return client.HTTPSConnection(target.netloc, timeout=LIMIT, context=context)  # type: ignore[no-any-return]
        return client.HTTPConnection(target.netloc, timeout=LIMIT)  # type: ignore[no-any-return]
