"""Speak HTTP as callers really do, and as they should not: a correct answer or a clean close."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.wire import run_body, run_request

from .outcome import Outcome, Replaceable, ask, connect

HEAD = "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


def head(server: Replaceable, *lines: str) -> bytes:
    """Return the head of a /run with these further lines."""
    return (
        HEAD.format(path=server.run_path) + "".join(f"{x}\r\n" for x in lines) + "\r\n"
    ).encode()


def pipeline(server: Replaceable, outcome: Outcome) -> None:
    """Send many requests in one write: as many answers come, in order."""
    with connect(server) as connection:
        connection.send(
            b"".join(run_request({"token": n}, path=server.run_path) for n in range(50))
        )
        for number in range(50):
            answer = connection.read_response().json()
            outcome.expect(answer.get("token") == number, f"pipelined {number}: {answer}")


def expect_continue(server: Replaceable, outcome: Outcome) -> None:
    """Send the body only after 100."""
    body = run_body({"token": "continued"})
    with connect(server) as connection:
        connection.send(head(server, f"Content-Length: {len(body)}", "Expect: 100-continue"))
        outcome.expect(connection.read_interim() == 100, "no 100")
        connection.send(body)
        outcome.expect(connection.read_response().value("token") == "continued", "no answer")


def chunked(server: Replaceable, outcome: Outcome) -> None:
    """Send a body in chunks, with an extension, cut at unusual places; then one more request."""
    body = run_body({"token": "chunked"})
    request = head(server, "Transfer-Encoding: chunked")
    for at in range(0, len(body), 7):
        piece = body[at : at + 7]
        request += b"%x;note=1\r\n%s\r\n" % (len(piece), piece)
    request += b"0\r\n\r\n"
    with connect(server) as connection:
        for at in range(0, len(request), 11):
            connection.send(request[at : at + 11])
        outcome.expect(connection.read_response().value("token") == "chunked", "no answer")
        outcome.expect(connection.run({"token": 2}).value("token") == 2, "the next one")


def half_close(server: Replaceable, outcome: Outcome) -> None:
    """End the stream after a complete request: it is answered. During a request: closed."""
    with connect(server) as connection:
        connection.send(run_request({"token": "whole"}, path=server.run_path))
        connection.half_close()
        outcome.expect(connection.read_response().value("token") == "whole", "no answer")
        outcome.expect(connection.read_to_end() == b"", "bytes after the answer")
    with connect(server) as connection:
        connection.send(run_request({"token": "half"}, path=server.run_path)[:-5])
        connection.half_close()
        outcome.expect(b"HTTP/1.1 200" not in connection.read_to_end(), "half was answered 200")


def bare(server: Replaceable, outcome: Outcome) -> None:
    """Close connections without sending a byte, some by a reset."""
    for _ in range(50):
        connect(server).close()
    outcome.expect(ask(server).status == 200, "not served after bare connections")


def garbage(server: Replaceable, outcome: Outcome) -> None:
    """
    Send bytes that cannot be framed: one refusal and a close; the bytes behind it are
    ignored.
    """
    hidden = run_request({"token": "hidden"}, path=server.run_path)
    body = run_body({"token": "first"})
    size = f"Content-Length: {len(body)}"
    for what, data in {
        "no HTTP at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        "two lengths": head(server, size, f"Content-Length: {len(body) + 1}") + body,
        "length and chunks": head(server, size, "Transfer-Encoding: chunked") + body,
        "a length that is no number": head(server, "Content-Length: +5") + body,
        "a space before the colon": head(server, f"Content-Length : {len(body)}") + body,
        "an unknown coding": head(server, "Transfer-Encoding: gzip, chunked") + body,
        "a bad chunk size": head(server, "Transfer-Encoding: chunked")
        + b"0x5\r\nhello\r\n0\r\n\r\n",
        "an endless head": b"POST /run HTTP/1.1\r\n" + b"X: y\r\n" * 200_000,
    }.items():
        with connect(server) as connection, outcome.trying(what):
            connection.send(data + hidden)
            connection.half_close()
            stream = connection.read_to_end()
            outcome.expect(b"HTTP/1.1 200" not in stream, f"{what}: answered 200")
            outcome.expect(stream.count(b"HTTP/1.1 ") <= 1, f"{what}: more than one answer")
            outcome.expect(b"hidden" not in stream, f"{what}: what was behind it got past")


def old_version(server: Replaceable, outcome: Outcome) -> None:
    """Speak HTTP/1.0: it is answered and closed."""
    body = run_body({"token": "old"})
    with connect(server) as connection:
        request = f"POST {server.run_path} HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.send(request.encode() + body)
        outcome.expect(connection.read_response().value("token") == "old", "no answer")
        outcome.expect(connection.read_to_end() == b"", "not closed")


CASES: dict[str, Callable[[Replaceable, Outcome], None]] = {
    "pipelined": pipeline,
    "Expect": expect_continue,
    "chunked": chunked,
    "half-close": half_close,
    "bare": bare,
    "garbage": garbage,
    "HTTP/1.0": old_version,
}


def speak_http(server: Replaceable, rounds: int = 10) -> Outcome:
    """Run every case, and after each an ordinary request."""
    outcome = Outcome(f"{', '.join(CASES)}; {rounds} times")
    server.replace(1)
    for turn in range(rounds):
        for name, case in CASES.items():
            with outcome.trying(f"{name}, turn {turn}"):
                case(server, outcome)
            with outcome.trying(f"after {name}"):
                outcome.expect_version(f"after {name}", ask(server), 1)
    outcome.result = f"{rounds * len(CASES)} cases"
    return outcome
