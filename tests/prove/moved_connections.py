"""
Move connections that were open before a replacement.

They are idle, have sent half a request, or have unread bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from tests.support.actions import puppet_source, version_source
from tests.support.client import Connection, Late
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server
from tests.support.wire import run_request

from .outcome import Outcome, Replaceable, ask, connect

Finish = Callable[[], None]
KINDS = ("idle", "half a head", "half a body", "a head and no body")


def begin(kind: str, connection: Connection, token: str, size: int) -> Finish:
    """Send the first part of a request of this kind; the function returned sends the rest."""
    event = {"token": token, "text": "x" * (size if "body" in kind else 1)}
    request = run_request(event, path=connection.run_path)
    head = request.index(b"\r\n\r\n") + 4
    cut = {
        "idle": 0,
        "half a head": head // 2,
        "half a body": head + (len(request) - head) // 2,
        "a head and no body": head,
    }[kind]
    if cut:
        connection.send(request[:cut])
    return lambda: connection.send(request[cut:])


def move_connections(
    server: Replaceable, rounds: int = 10, each: int = 4, size: int = 1 << 20
) -> Outcome:
    """Move ``each`` connections of every kind, once new and once used, over each replacement."""
    outcome = Outcome(f"{rounds} replacements over {each * 2 * len(KINDS)} open connections")
    server.replace(1)
    answered = 0
    for version in range(2, rounds + 2):
        with ExitStack() as stack:
            opened: list[tuple[str, str, Connection, Finish]] = []
            for number in range(each * 2):
                for kind in KINDS:
                    connection = stack.enter_context(connect(server))
                    if number % 2:
                        connection.run({"token": "before"})
                    token = f"{version}-{kind}-{number}"
                    opened.append((kind, token, connection, begin(kind, connection, token, size)))
            with outcome.trying(f"replacement {version}"):
                server.replace(version)
            for kind, token, connection, finish in opened:
                with outcome.trying(f"{kind}, version {version}"):
                    finish()
                    response = connection.read_response()
                    outcome.expect_version(kind, response, version)
                    outcome.expect(response.json().get("token", token) == token, f"{kind}: crossed")
                    answered += 1
    outcome.result = f"{answered} answered by the new version on the old connection"
    return outcome


def move_from_stuck_handler(server: Server, rounds: int = 10, size: int = 1 << 20) -> Outcome:
    """
    Do the same while their worker is stuck in a handler, and with complete requests it has not
    read.
    """
    outcome = Outcome(f"{rounds} replacements with the worker stuck in a handler")
    server.post(puppet_source(1))
    for version in range(2, rounds + 2):
        with ExitStack() as stack, Rendezvous() as meet:
            kinds = [*KINDS, "unread", "unread behind an answer"]
            opened = [(kind, stack.enter_context(connect(server))) for kind in kinds]
            for _, connection in opened:
                connection.run({})
            finishers = [
                (kind, connection, begin(kind, connection, kind, size))
                for kind, connection in opened
                if kind in KINDS
            ]
            stuck = stack.enter_context(connect(server))
            stuck.send_run({"do": "hold", "at": meet.path})
            held = meet.wait_arrival()
            for kind, connection in opened[len(KINDS) :]:
                connection.send_run({"token": kind, "text": "x" * size})
            with outcome.trying(f"replacement {version}"):
                server.post(puppet_source(version))
            for kind, connection, finish in finishers:
                with outcome.trying(f"{kind}, version {version}"):
                    finish()
                    outcome.expect_version(kind, connection.read_response(), version)
            for kind, connection in opened[len(KINDS) :]:
                with outcome.trying(f"{kind}, version {version}"):
                    outcome.expect_version(kind, connection.read_response(), version)
            held.release()
            with outcome.trying("the stuck caller"):
                outcome.expect_version("the stuck caller", stuck.read_response(), version - 1)
                outcome.expect_version("the stuck caller's next", stuck.run({}), version)
    outcome.result = "idle, half-sent and unread requests answered by the new version"
    return outcome


def move_many(server: Replaceable, connections: int = 1000, rounds: int = 3) -> Outcome:
    """Move many kept connections at once; they stay the same ones."""
    outcome = Outcome(f"{connections} connections moved at once, {rounds} times")
    server.replace(1)
    with ExitStack() as stack:
        opened = [stack.enter_context(connect(server)) for _ in range(connections)]
        for version in range(1, rounds + 2):
            if version > 1:
                server.replace(version)
            with outcome.trying(f"version {version}"):
                for number, connection in enumerate(opened):
                    connection.send_run({"token": number})
                for number, connection in enumerate(opened):
                    response = connection.read_response()
                    outcome.expect_version(f"connection {number}", response, version)
    outcome.result = f"{connections * (rounds + 1)} answers expected"
    return outcome


def serve_beyond_cap(server: Replaceable, connections: int = 600) -> Outcome:
    """Open more connections than the limit of open files allows: they wait, and none is refused."""
    outcome = Outcome(f"{connections} connections, replaced while at the cap")
    server.replace(1)
    at_once = 0
    with ExitStack() as stack:
        poster = stack.enter_context(connect(server, 30.0))
        poster.run({})
        opened = [stack.enter_context(connect(server)) for _ in range(connections)]
        for number, connection in enumerate(opened):
            connection.send_run({"token": number})
        with outcome.trying("at the cap"):
            while at_once < connections:
                opened[at_once].read_response(timeout=1.0 if at_once else 10.0)
                at_once += 1
        if outcome.problems and Late.__name__ in outcome.problems[-1] and at_once > 100:
            outcome.problems.pop()  # the limit is reached: the others wait for their turn
        replace_on(outcome, poster, server)
        for number, connection in enumerate(opened):
            with outcome.trying(f"connection {number}"):
                if number >= at_once:
                    connection.read_response()
                connection.close()
    with outcome.trying("afterwards"):
        outcome.expect_version("afterwards", ask(server), 2)
    outcome.result = f"{at_once} served at once, all answered in the end"
    return outcome


def replace_on(outcome: Outcome, connection: Connection, server: Replaceable) -> None:
    """Replace on a connection that is open already, since no new one is accepted."""
    if server.replace_command:
        return server.replace(2)
    with outcome.trying("/init at the cap"):
        response = connection.init(version_source(2))
        outcome.expect(response.status == 200, f"/init at the cap: {response.body[:120]!r}")
    return None
