"""Who may ask, as a table."""

from __future__ import annotations

import pytest

from hotwhisk.access.check import AccessCheck
from hotwhisk.config.config import Config, with_tokens
from hotwhisk.config.tokens import Tokens, digest
from hotwhisk.errors import (
    Forbidden,
    MethodNotAllowed,
    NotFound,
    RequestError,
    Unauthorized,
)
from hotwhisk.http1.http1 import Head, Reader

PLAIN = Config(hosts=("action.example",))
BOTH = Tokens(digest("s3cret"), digest("s3cret"))
GUARDED = with_tokens(PLAIN, BOTH)
TWO = with_tokens(PLAIN, Tokens(digest("calls"), digest("replaces")))
ONLY_REPLACE = with_tokens(PLAIN, Tokens(b"", digest("replaces")))
EVENTS = Config(cloudevents=True)
EVENTS_BY_NETWORK = Config(cloudevents=True, host="0.0.0.0")
EVENTS_AND_CODE = with_tokens(
    Config(cloudevents=True, host="0.0.0.0", replace_token_file="token"),
    Tokens(b"", digest("replaces")),
)
OPENWHISK = Config(openwhisk=True)
OPENWHISK_GUARDED = with_tokens(OPENWHISK, BOTH)
OK = None


def head(start: str, *lines: str) -> Head:
    lines = lines if any(each.startswith("Host:") for each in lines) else ("Host: h", *lines)
    data = "\r\n".join([f"{start} HTTP/1.1", *lines, "Content-Length: 0", "", ""]).encode()
    request = Reader().examine(data, len(data))
    assert request is not None
    return request.head


LOCAL = "Host: 127.0.0.1:8080"
CASES: list[tuple[Config, str, tuple[str, ...], type[RequestError] | None]] = [
    (PLAIN, "POST /run", (LOCAL,), OK),
    (PLAIN, "POST /init", (LOCAL,), OK),
    (PLAIN, "POST /run?blocking=true", (LOCAL,), OK),
    (PLAIN, "POST /run", ("Host: localhost",), OK),
    (PLAIN, "POST /run", ("Host: LocalHost:1",), OK),
    (PLAIN, "POST /run", ("Host: [::1]:8080",), OK),
    (PLAIN, "POST /run", ("Host: [::1]",), OK),
    (PLAIN, "POST /run", ("Host: Action.Example:80",), OK),
    # A page can make its own name resolve to 127.0.0.1.
    (PLAIN, "POST /init", ("Host: evil.example",), Forbidden),
    (PLAIN, "POST /init", ("Host: 127.0.0.1.evil.example",), Forbidden),
    (PLAIN, "POST /init", ("Host: localhost.evil.example:8080",), Forbidden),
    (PLAIN, "POST /init", ("Host: [::2]",), Forbidden),
    (PLAIN, "POST /init", ("Host:",), Forbidden),
    (PLAIN, "POST /init", (LOCAL, "Origin: http://localhost:8080"), Forbidden),
    (PLAIN, "POST /init", (LOCAL, "Origin: null"), Forbidden),
    (PLAIN, "POST /init", (LOCAL, "Origin:"), Forbidden),
    (PLAIN, "POST /init", (LOCAL, "Sec-Fetch-Site: cross-site"), Forbidden),
    (PLAIN, "POST /init", (LOCAL, "Sec-Fetch-Site: same-origin"), Forbidden),
    (PLAIN, "POST /init", (LOCAL, "Sec-Fetch-Site: none", "Sec-Fetch-Site: x"), Forbidden),
    (PLAIN, "POST /init", (LOCAL, "Sec-Fetch-Site: none"), OK),
    (PLAIN, "POST /", (LOCAL,), NotFound),
    (PLAIN, "POST /run/", (LOCAL,), NotFound),
    (PLAIN, "GET /favicon.ico", (LOCAL,), NotFound),
    (PLAIN, "GET /run", (LOCAL,), MethodNotAllowed),
    (PLAIN, "OPTIONS /init", (LOCAL,), MethodNotAllowed),
    (PLAIN, "GET /run", (LOCAL, "Origin: null"), Forbidden),
    (GUARDED, "POST /run", (LOCAL, "Authorization: Bearer s3cret"), OK),
    (GUARDED, "POST /run", (LOCAL, "Authorization: bearer  s3cret"), OK),
    (GUARDED, "POST /run", (LOCAL,), Unauthorized),
    (GUARDED, "POST /run", (LOCAL, "Authorization: Bearer"), Unauthorized),
    (GUARDED, "POST /run", (LOCAL, "Authorization: Bearer s3cre"), Unauthorized),
    (GUARDED, "POST /run", (LOCAL, "Authorization: Bearer S3CRET"), Unauthorized),
    (GUARDED, "POST /run", (LOCAL, "Authorization: Basic s3cret"), Unauthorized),
    (GUARDED, "GET /nothing", (LOCAL,), Unauthorized),  # who has no token learns nothing
    (GUARDED, "POST /run", (LOCAL, "Origin: x", "Authorization: Bearer s3cret"), Forbidden),
    # With two tokens, one calls and the other does everything.
    (TWO, "POST /run", (LOCAL, "Authorization: Bearer calls"), OK),
    (TWO, "POST /run", (LOCAL, "Authorization: Bearer replaces"), OK),
    (TWO, "POST /init", (LOCAL, "Authorization: Bearer replaces"), OK),
    (TWO, "POST /init", (LOCAL, "Authorization: Bearer calls"), Forbidden),
    (TWO, "POST /init", (LOCAL, "Authorization: Bearer x"), Unauthorized),
    (TWO, "POST /init", (LOCAL,), Unauthorized),
    (TWO, "POST /init?x=/run", (LOCAL, "Authorization: Bearer calls"), Forbidden),
    (TWO, "POST http://localhost/init", (LOCAL, "Authorization: Bearer calls"), Forbidden),
    (TWO, "POST /nothing", (LOCAL, "Authorization: Bearer calls"), NotFound),
    (TWO, "POST /nothing", (LOCAL,), Unauthorized),
    (ONLY_REPLACE, "POST /run", (LOCAL,), OK),
    (ONLY_REPLACE, "POST /run", ("Host: 10.1.2.3:8080",), OK),
    (ONLY_REPLACE, "POST /init", (LOCAL,), Unauthorized),
    (ONLY_REPLACE, "POST /init", (LOCAL, "Authorization: Bearer replaces"), OK),
    (ONLY_REPLACE, "POST /nothing", (LOCAL,), Unauthorized),
    # No page can make an address its own, so with a token any address of this machine will do.
    (GUARDED, "POST /run", ("Host: 10.1.2.3:8080", "Authorization: Bearer s3cret"), OK),
    (GUARDED, "POST /run", ("Host: [fd00::7]:8080", "Authorization: Bearer s3cret"), OK),
    (GUARDED, "POST /run", ("Host: 10.1.2.3:8080",), Unauthorized),
    (GUARDED, "POST /run", ("Host: box.lan", "Authorization: Bearer s3cret"), Forbidden),
    (GUARDED, "POST /run", ("Host: 10.1.2.3.evil.example",), Forbidden),
    (GUARDED, "POST /run", ("Host: 10.1.2.333",), Forbidden),
    (PLAIN, "POST /run", ("Host: 10.1.2.3:8080",), Forbidden),
    # The target's own host counts, if it has one.
    (PLAIN, "POST http://localhost:8080/run", ("Host: evil.example",), OK),
    (PLAIN, "POST http://evil.example/run", (LOCAL,), Forbidden),
    # Events are taken on a path of their own.
    (EVENTS, "POST /", (LOCAL,), OK),
    (EVENTS, "POST /?a=b", (LOCAL,), OK),
    (EVENTS, "POST /init", (LOCAL,), OK),
    (EVENTS, "GET /", (LOCAL,), MethodNotAllowed),
    (EVENTS, "POST /events", (LOCAL,), NotFound),
    (EVENTS, "POST /", ("Host: evil.example",), Forbidden),
    (EVENTS, "POST /", (LOCAL, "Origin: http://page"), Forbidden),
    # From a network they need no token and no name; code needs a token.
    (EVENTS_BY_NETWORK, "POST /", ("Host: hello.default.svc.cluster.local",), OK),
    (EVENTS_BY_NETWORK, "POST /run", ("Host: 10.1.2.3",), OK),
    (EVENTS_BY_NETWORK, "POST /init", (LOCAL,), Forbidden),
    (EVENTS_BY_NETWORK, "POST /init", (LOCAL, "Authorization: Bearer x"), Forbidden),
    (EVENTS_AND_CODE, "POST /", ("Host: hello.default",), OK),
    (EVENTS_AND_CODE, "POST /any", ("Host: hello.default",), NotFound),
    (EVENTS_AND_CODE, "POST /init", ("Host: hello.default",), Unauthorized),
    (EVENTS_AND_CODE, "POST /init", (LOCAL, "Authorization: Bearer replaces"), OK),
    # The platform's network is its own matter.
    (OPENWHISK, "POST /run", ("Host: 10.1.2.3:8080",), OK),
    (OPENWHISK, "POST /init", ("Host: any", "Origin: http://x"), OK),
    (OPENWHISK, "GET /run", ("Host: any",), MethodNotAllowed),
    (OPENWHISK, "POST /start", ("Host: any",), NotFound),
    # Only a token is checked there, if there is one.
    (OPENWHISK_GUARDED, "POST /init", ("Host: any", "Authorization: Bearer s3cret"), OK),
    (OPENWHISK_GUARDED, "POST /run", ("Origin: x", "Authorization: Bearer s3cret"), OK),
    (OPENWHISK_GUARDED, "POST /run", ("Host: any",), Unauthorized),
    (OPENWHISK_GUARDED, "POST /init", ("Host: any", "Authorization: Bearer x"), Unauthorized),
    (OPENWHISK_GUARDED, "GET /nothing", ("Host: any",), Unauthorized),
]


@pytest.mark.parametrize(("config", "start", "lines", "error"), CASES)
def test_a_request_is_allowed_or_refused_with_its_reason(
    config: Config, start: str, lines: tuple[str, ...], error: type[RequestError] | None
) -> None:
    gate = AccessCheck(config)
    if error is None:
        gate.check(head(start, *lines))
    else:
        with pytest.raises(error) as caught:
            gate.check(head(start, *lines))
        assert type(caught.value) is error


@pytest.mark.parametrize(
    ("config", "lines", "error"),
    [
        (EVENTS_BY_NETWORK, (LOCAL,), OK),
        (EVENTS_BY_NETWORK, ("Host: evil.example",), Forbidden),
        (EVENTS_BY_NETWORK, (LOCAL, "Origin: http://page"), Forbidden),
        (EVENTS_BY_NETWORK, (LOCAL, "Sec-Fetch-Site: cross-site"), Forbidden),
        (EVENTS_AND_CODE, ("Host: 10.1.2.3:9090",), Unauthorized),
        (EVENTS_AND_CODE, ("Host: 10.1.2.3:9090", "Authorization: Bearer replaces"), OK),
        (OPENWHISK, ("Host: any", "Origin: http://x"), OK),
    ],
)
def test_an_address_without_events_is_checked_as_if_there_were_none(
    config: Config, lines: tuple[str, ...], error: type[RequestError] | None
) -> None:
    check = AccessCheck(config, takes_events=False)
    if error is None:
        check.check_caller(head("GET /metrics", *lines))
    else:
        with pytest.raises(error):
            check.check_caller(head("GET /metrics", *lines))


def test_http_1_0_needs_no_host() -> None:
    data = b"POST /run HTTP/1.0\r\nContent-Length: 0\r\n\r\n"
    request = Reader().examine(data, len(data))
    assert request is not None
    AccessCheck(PLAIN).check(request.head)


def test_a_refusal_says_what_to_do() -> None:
    with pytest.raises(Forbidden, match=r'Host "evil\.example" .* --allow-host'):
        AccessCheck(PLAIN).check(head("POST /run", "Host: evil.example"))
    with pytest.raises(Unauthorized, match="Authorization: Bearer TOKEN"):
        AccessCheck(GUARDED).check(head("POST /run", LOCAL))


def test_a_wrong_token_gets_another_error_than_a_missing_one() -> None:
    told = {
        None: "a token is needed",
        "Basic abc": "must be of the form: Bearer TOKEN",
        "Bearer wrong": "the token is not this server's",
    }
    for given, text in told.items():
        lines = [LOCAL] if given is None else [LOCAL, f"Authorization: {given}"]
        with pytest.raises(Unauthorized, match=text) as caught:
            AccessCheck(GUARDED).check(head("POST /run", *lines))
        assert "wrong" not in str(caught.value)  # what was sent is not repeated


def test_the_token_is_not_kept() -> None:
    kept = vars(AccessCheck(GUARDED))
    assert "s3cret" not in repr(kept)
    assert BOTH in kept.values()
    assert "s3cret" not in repr(vars(GUARDED))


def test_an_unknown_token_may_be_a_new_one() -> None:
    asked = []

    def read_again(before: Tokens) -> Tokens:
        asked.append(before)
        return Tokens(digest("new"), digest("new"))

    check = AccessCheck(GUARDED, read_again)
    old, new = (
        head("POST /run", LOCAL, f"Authorization: Bearer {each}") for each in ("s3cret", "new")
    )
    check.check(old)
    assert check.admitted is old
    assert not asked
    check.check(new)
    assert asked == [BOTH]
    with pytest.raises(Unauthorized):
        check.check(old)
    assert check.admitted is None


def test_a_head_that_was_admitted_is_not_admitted_by_other_tokens() -> None:
    check = AccessCheck(GUARDED)
    check.check(head("POST /run", LOCAL, "Authorization: Bearer s3cret"))
    check.set_tokens(Tokens(digest("new"), digest("new")))
    assert check.admitted is None


def test_the_error_for_a_host_names_the_hosts_that_are_accepted() -> None:
    request = head("POST /run", "Host: box.lan:8080")
    with pytest.raises(Forbidden, match=r"by its IP address.*--allow-host box.lan$"):
        AccessCheck(GUARDED).check(request)
    with pytest.raises(Forbidden, match=r"by 127.0.0.1 or localhost.*--allow-host box.lan$"):
        AccessCheck(PLAIN).check(request)
