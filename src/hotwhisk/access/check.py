"""
Check whether a request may run or replace the action.

Code that is posted is run. A browser lets any page send a form or a "simple" request to 127.0.0.1,
so a web page could post code to a developer's machine. The plain profile refuses the requests that
a page can cause:

- a request with an ``Origin``;
- a request whose ``Sec-Fetch-Site`` is not ``none``;
- a request for a host name that is not this server's (a page can make its own name resolve to
  127.0.0.1).

Beyond loopback a token is needed. With ``--cloudevents`` only code needs one there: events and
calls come from the network anyway, by any name, so a web page can do nothing more. That holds for
the address that takes events, and for no other one, such as that of ``--admin``. Under OpenWhisk
the platform guards its own network, so only a token is checked, if there is one.

A token of ``--replace-token-file`` may do what another one may not: replace the action. What is
unknown may be a new token, so the files are read again before it is refused.

This module is pure.
"""

from __future__ import annotations

from _operator import _compare_digest

from hotwhisk.config.options import is_loopback
from hotwhisk.config.tokens import digest
from hotwhisk.errors import Forbidden, MethodNotAllowed, NotFound, RequestError, Unauthorized
from hotwhisk.openwhisk.bodies import read_run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from hotwhisk.config.config import Config
    from hotwhisk.config.platform import Profile
    from hotwhisk.config.tokens import Tokens
    from hotwhisk.http1.http1 import Head, Request

PATHS = ("/run", "/init")
EVENT_PATH = "/"
"""Where CloudEvents are taken, if they are."""

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


class AccessCheck:
    """
    Checks the head of a request. ``read_again`` is given the tokens so far, and returns those that
    the files hold now.

    Without ``takes_events`` the check is as strict as without ``--cloudevents``. An address beside
    that of the action needs this: no event comes there, from whatever network.
    """

    def __init__(
        self,
        config: Config,
        read_again: Callable[[Tokens], Tokens] | None = None,
        *,
        takes_events: bool = True,
    ) -> None:
        self.admitted: Head | None = None
        """The head that was checked last. The parser keeps heads, so an equal one is identical."""
        events = takes_events and config.cloudevents
        self._paths = (*PATHS, EVENT_PATH) if events else PATHS
        self._any_path = events  # a function may have paths of its own
        self._takes_no_code = config.takes_no_code
        by_network = events and not is_loopback(config.host)
        self._open = config.openwhisk or by_network
        self._hosts = LOOPBACK_NAMES | {name.lower() for name in config.hosts}
        self._tokens = config.tokens
        self._read_again = read_again

    def set_tokens(self, tokens: Tokens) -> None:
        """Check by other tokens from now on."""
        self._tokens, self.admitted = tokens, None

    def check(self, head: Head) -> None:
        """
        Refuse a request that is not an allowed POST to a path of this server.

        Raises:
            NotFound: the path is another one.
            MethodNotAllowed: the method is another one.
            Forbidden: a web page could have caused the request, or the server takes no code.
            Unauthorized: the token is missing or wrong.
        """
        self.check_caller(head)
        if head.path not in self._paths:
            there = " and ".join(f"POST {path}" for path in self._paths)
            raise NotFound(f"no such path: {head.path[:80]}; there are {there}")
        if head.method != "POST":
            raise MethodNotAllowed(f"{head.path} is for POST, not for {head.method[:20]}")
        if self._takes_no_code and head.path == "/init":
            raise Forbidden(
                "this server takes no code, because other machines reach it and no token is set; "
                "start it with --replace-token-file FILE, and send the token in that file"
            )
        self.admitted = head

    def check_caller(self, head: Head) -> None:
        """
        Refuse a request by who sent it, whatever it asks for.

        Raises:
            Forbidden: a web page could have caused the request.
            Unauthorized: the token is missing or wrong.
        """
        if not self._open:
            self._check_origin(head)
        self._check_token(head)

    def is_valid(self, request: Request, profile: Profile) -> bool:
        """Check a refused request a second time; return whether it is valid after all."""
        if request.head.path == "/init":
            return False
        try:
            self.check(request.head)
            read_run(request.body, profile)
        except RequestError:
            return False
        return True

    def _check_origin(self, head: Head) -> None:
        if head.header("origin") is not None:
            raise Forbidden(
                "this request has an Origin, so a web page sent it; "
                "pages may not talk to this server: put a server of your own between"
            )
        if head.header("sec-fetch-site") not in (None, "none"):
            raise Forbidden("a web page caused this request (Sec-Fetch-Site); it may not")
        host = head.header("host")
        if host is not None and not self._is_ours(_name(host)):
            where = "127.0.0.1 or localhost"
            if self._has_tokens:
                where = f"its IP address, on its own machine {where}"
            raise Forbidden(
                f'the Host "{host[:80]}" is not this server\'s: call it by {where}, '
                f"or start it with --allow-host {_name(host)[:80] or 'NAME'}"
            )

    def _is_ours(self, name: str) -> bool:
        """
        Return whether a name in a request means this server.

        A page can make a name of its own lead here, but not an IP address. Beyond loopback, the
        token keeps others out, so any IP address is accepted.
        """
        return name in self._hosts or (self._has_tokens and is_ip_address(name))

    @property
    def _has_tokens(self) -> bool:
        return bool(self._tokens.call or self._tokens.replace)

    def _check_token(self, head: Head) -> None:
        wanted = self._wanted(head.path)
        if not wanted:
            return
        given = head.header("authorization")
        if given is None:
            raise Unauthorized("a token is needed: send the header Authorization: Bearer TOKEN")
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("the header Authorization must be of the form: Bearer TOKEN")
        found = digest(token.strip())
        if self._is_good(found, wanted):
            return
        if self._read_again is not None:
            self.set_tokens(self._read_again(self._tokens))
            if self._is_good(found, self._wanted(head.path)):
                return
        if _compare_digest(found, self._tokens.call):
            raise Forbidden(
                "this token is for calls and replaces nothing: send the one in the file that "
                "--replace-token-file names"
            )
        raise Unauthorized(
            "the token is not this server's: send what the file holds that its --token-file names"
        )

    def _wanted(self, path: str) -> bytes:
        """Return the digest of the least token that a path needs; empty if it needs none."""
        tokens = self._tokens
        if path == "/init":
            return tokens.replace
        return tokens.call if path == "/run" or self._any_path else tokens.call or tokens.replace

    def _is_good(self, found: bytes, wanted: bytes) -> bool:
        replaces = _compare_digest(found, self._tokens.replace)  # it may do everything
        return _compare_digest(found, wanted) or replaces


def is_ip_address(name: str) -> bool:
    """Return whether the host of a URL is an IP address."""
    if name.startswith("["):
        return True  # only an IPv6 address may be in brackets
    parts = name.split(".")
    return len(parts) == 4 and all(
        part.isascii() and part.isdigit() and len(part) <= 3 and int(part) < 256 for part in parts
    )


def _name(host: str) -> str:
    """Return the host of a Host header without its port, in lower case."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()
