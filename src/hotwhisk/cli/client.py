"""Talk to a running server over HTTP, with the standard library only."""

from __future__ import annotations

import http.client
import json
import re
import select
import socket
import textwrap
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from hotwhisk.access.token_files import read_token
from hotwhisk.cli.files import reason
from hotwhisk.cli.locate import only_server, run_folder, url_of
from hotwhisk.cli.terminal import port_number
from hotwhisk.config.addresses import client_setting, client_url
from hotwhisk.config.options import CLIENT_VARIABLES
from hotwhisk.errors import ServerError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

CONNECT_TIMEOUT = 10.0  # for the connection only: the server limits the time of an answer

INTERVAL = 0.25
"""Seconds between two calls while an answer is waited for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, with the generation that gave it and the time that it took."""

    status: int
    body: bytes
    number: str | None
    digest: str | None
    seconds: float
    url: str


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """The place of a server and the token that it wants."""

    url: str
    token: str | None
    found: str = ""
    """Where the server was found, if no option or variable named it."""

    def post(self, path: str, payload: object, waiting: Callable[[], None] | None = None) -> Answer:
        """
        Send one JSON body. While no answer comes, call ``waiting`` four times a second.

        If what comes is no HTTP answer, or the server is a gateway, the ServerError says what to
        do.
        """
        parts = split_url(self.url)
        route = parts.path.rstrip("/") + path
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        body = json.dumps(payload, allow_nan=False).encode()
        connection = _connect(self.url, parts)
        try:
            start = time.perf_counter()
            _send(connection, route, body, headers)
            while waiting and not select.select([connection.sock], [], [], INTERVAL)[0]:
                waiting()
            response = _response(connection, self.url)
            content = response.read()
            seconds = time.perf_counter() - start
        except http.client.IncompleteRead as error:
            raise ServerError(
                f"{self.url} has cut the answer after {len(error.partial)} bytes: its handler "
                "failed or was ended; the log of the server says why"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(f"{self.url} ended the connection: {reason(error)}") from None
        finally:
            connection.close()
        number, _, digest = (response.getheader("Hotwhisk-Generation") or "").partition(" ")
        url = self.url.rstrip("/") + path
        if response.status == 404 and (text := gateway_at(self.url)):
            raise ServerError(text)
        return Answer(response.status, content, number or None, digest or None, seconds, url)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the server and its token."""
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--url",
        help="the server (HOTWHISK_URL, or http://127.0.0.1:8080, else the only one of yours)",
    )
    where.add_argument(
        "--port", type=port_number, metavar="PORT", help="its port, if it is on this machine"
    )
    parser.add_argument("--token-file", metavar="PATH", help="file with the token of the server")


def find_server(
    given: argparse.Namespace, environ: Mapping[str, str], *, replaces: bool = False
) -> RemoteServer:
    """
    Return the server that flags and variables name, or else the only server of this user.

    A command that ``replaces`` takes the variable of that token before the one of all tokens.

    Raises:
        ServerError: no server is named, and this user has several.
    """
    url = given.url if given.port is None else f"http://127.0.0.1:{given.port}"
    own = client_setting("replace_token_file", environ) if replaces else None
    token_file = given.token_file or own or client_setting("token_file", environ)
    token = read_token(token_file) if token_file else None
    if url is None and not environ.get(CLIENT_VARIABLES[0]):
        name = only_server(run_folder(None, environ), None, environ)
        if name is not None:
            return RemoteServer(url_of(name), token, found=f" on {url_of(name)}")
    return RemoteServer(client_url(url, environ), token)


def error_text(body: bytes) -> str | None:
    """Return the text under the key ``error`` of an answer, or None if there is none."""
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    if not isinstance(answer, dict) or "error" not in answer:
        return None
    error = answer["error"]
    return error if isinstance(error, str) else json.dumps(error, indent=2, ensure_ascii=False)


def refusal(answer: Answer) -> str:
    """
    Return why a server refused a request, as a text for people.

    Raises:
        ServerError: the answer is not from a server of ours.
    """
    text = error_text(answer.body)
    if text is None:
        raise ServerError(
            f"the answer is not a hotwhisk server's: {answer.url} sent status {answer.status} "
            f"and {_first_words(answer.body)}; give the address of a server with --url"
        )
    return f"{text}\ngive its token with --token-file FILE" if answer.status == 401 else text


def _first_words(body: bytes) -> str:
    """Return how an answer in an unknown form begins; of a page, return its visible text."""
    text = body[:4096].decode("utf-8", "replace")
    text = re.sub(r"<(style|script)\b.*?</\1>|<[^>]*>?", " ", text, flags=re.DOTALL | re.IGNORECASE)
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f'"{textwrap.shorten(words, 80, placeholder=" …")}"' if words else "no text"


def gateway_at(url: str) -> str:
    """
    Return a text for users if the server at ``url`` is a gateway; an empty text for any other.

    A gateway is what ``hotwhisk up`` and ``hotwhisk dev`` start. It has many actions, and neither
    ``/init`` nor ``/run``.
    """
    try:
        with closing(_connect(url, split_url(url))) as connection:
            connection.sock.settimeout(CONNECT_TIMEOUT)
            connection.request("GET", "/api/v1")
            found = json.loads(connection.getresponse().read())
    except (ServerError, OSError, ValueError, http.client.HTTPException):
        return ""
    if not isinstance(found, dict) or found.get("description") != "OpenWhisk API":
        return ""
    return (
        f"{url} is a gateway, of hotwhisk up or hotwhisk dev, and this command is for a server of "
        "hotwhisk serve; open that address in a browser, or call an action with: "
        "wsk action invoke NAME --result"
    )


def split_url(url: str) -> SplitResult:
    """
    Return the parts of the address of a server.

    Raises:
        UsageError: it is not such an address.
    """
    try:
        return _split(url)
    except ValueError:
        raise UsageError(f'expected a URL such as http://127.0.0.1:8080, got "{url}"') from None


def _split(url: str) -> SplitResult:
    """
    Return the parts of a URL.

    Raises:
        ValueError: the port is wrong, the name or the path cannot be sent, or a part is missing.
    """
    parts = urlsplit(url)
    name = parts.hostname or ""
    name.encode("idna")
    parts.path.encode("ascii")
    is_blank = any(map(str.isspace, url))
    if parts.scheme not in ("http", "https") or not name or parts.port == 0 or is_blank:
        raise ValueError(url)
    return parts


def _connect(url: str, parts: SplitResult) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(str(parts.hostname), parts.port, timeout=CONNECT_TIMEOUT)
    try:
        connection.connect()
    except ConnectionRefusedError:
        raise ServerError(
            f"nothing listens on {url}; start one with: hotwhisk serve FILE"
        ) from None
    except (socket.gaierror, TimeoutError, OSError) as error:
        raise ServerError(f"cannot reach {url}: {reason(error)}") from None
    connection.sock.settimeout(None)
    return connection


def _send(
    connection: http.client.HTTPConnection, route: str, body: bytes, headers: dict[str, str]
) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # 401 or 413 may come before all is sent
        connection.request("POST", route, body, headers)


def _response(connection: http.client.HTTPConnection, url: str) -> http.client.HTTPResponse:
    try:
        return connection.getresponse()
    except ConnectionResetError:  # it closed the connection without an answer
        raise ServerError(f"{url} closed the connection without an answer") from None
