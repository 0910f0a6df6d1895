"""Check that clients that are slow or send nothing do not delay other clients."""

from __future__ import annotations

from contextlib import ExitStack

from tests.support.wire import run_request

from .outcome import Outcome, Replaceable, ask, connect


def serve_slow_senders(server: Replaceable, senders: int = 20, rounds: int = 2) -> Outcome:
    """Send requests one byte at a time, with a replacement half way; other clients are served."""
    outcome = Outcome(f"{senders} senders of single bytes, replaced half way, {rounds} times")
    server.replace(1)
    others = 0
    for version in range(2, rounds + 2):
        with ExitStack() as stack, outcome.trying(f"version {version}"):
            opened = [stack.enter_context(connect(server)) for _ in range(senders)]
            request = run_request({"token": "slow"}, path=server.run_path)
            for place in range(len(request)):
                for connection in opened:
                    connection.send(request[place : place + 1])
                if place == len(request) // 2:
                    server.replace(version)
                elif place % 16 == 0:
                    outcome.expect(ask(server).status == 200, "another client was not served")
                    others += 1
            for connection in opened:
                outcome.expect_version("a slow sender", connection.read_response(), version)
    outcome.result = f"all answered, {others} others meanwhile"
    return outcome


def serve_beside_silent(server: Replaceable, silent: int = 200, requests: int = 200) -> Outcome:
    """
    Open connections that send nothing: others are served, and each may still send after a
    change.
    """
    outcome = Outcome(f"{silent} silent connections, {requests} requests beside them")
    server.replace(1)
    with ExitStack() as stack, outcome.trying("beside the silent"):
        opened = [stack.enter_context(connect(server)) for _ in range(silent)]
        for _ in range(requests):
            outcome.expect_version("beside the silent", ask(server), 1)
        for connection in opened[::4]:
            connection.close()
        server.replace(2)
        for number, connection in enumerate(opened):
            if number % 4:
                outcome.expect_version("a silent one speaks", connection.run({}), 2)
    outcome.result = "all served; the silent ones spoke to the new version"
    return outcome
