"""CloudEvents on a real server, with the SDK for Python as the client."""

from __future__ import annotations

import json
import os
import threading
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

import pytest
from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent, from_http

from tests.support.client import run_once
from tests.support.server import Server

pytestmark = pytest.mark.slow

REPLACEMENTS = 30
CLIENTS = 6
FORMS = {"binary": to_binary, "structured": to_structured}

_OF_THE_LIBRARY = """\
from cloudevents.http import CloudEvent

def main(event, context):
    asked = context.cloudevent
    if "nothing" in event:
        return None
    attributes = {"type": "reply", "source": "/reply", "subject": asked["subject"], "to": asked["id"]}
    return CloudEvent(attributes, {"data": event})
"""
_VERSION = """\
import os, signal

def main(event):
    if "kill" in event:
        os.kill(os.getpid(), signal.SIGKILL)
    data = {"version": %d, "token": event["token"]}
    return {"specversion": "1.0", "type": "reply", "source": "/version", "data": data}
"""
_GATE = """\
def main(event):
    with open(event["begun"], "w"), open(event["gate"]):
        return None
"""
_MODULES = """\
import sys

def main(event):
    return {"names": [name for name in sys.modules if "cloudevents" in name or "event_re" in name]}
"""


class Caller:
    """Sends events on one connection, and reads the replies, by the SDK; a context manager."""

    def __init__(self, server: Server) -> None:
        self.http = HTTPConnection("127.0.0.1", server.port, timeout=20.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def send(self, event: CloudEvent, form: str = "binary") -> tuple[int, CloudEvent | None, bytes]:
        """Return the status, the reply if it is an event, and the body."""
        headers, body = FORMS[form](event)
        self.http.request("POST", "/", body, headers)
        response = self.http.getresponse()
        answer = response.read()
        is_event = response.headers.get("ce-id") is not None
        reply = from_http(dict(response.headers.items()), answer) if is_event else None
        return response.status, reply, answer


def event(data: object) -> CloudEvent:
    return CloudEvent({"type": "test", "source": "/test", "subject": "50 % tea"}, data)


@pytest.mark.parametrize(("form", "more"), [("binary", ()), ("structured", ("--fresh",))])
def test_the_sdk_sends_events_and_reads_the_replies(form: str, more: tuple[str, ...]) -> None:
    with Server("--cloudevents", *more) as server, Caller(server) as caller:
        server.post(_OF_THE_LIBRARY)
        asked = event({"name": "Mike"})
        status, reply, _ = caller.send(asked, form)
        assert status == 200
        assert reply is not None
        assert (reply["type"], reply["to"]) == ("reply", asked["id"])
        assert reply.data == {"data": {"name": "Mike"}}
        assert caller.send(event({"nothing": 1}), form) == (204, None, b"")
        server.end_well()


def test_a_replacement_loses_no_event_and_no_stale_reply_comes() -> None:
    current, ended, problems = [1], threading.Event(), list[str]()
    answered = [0] * CLIENTS

    def call(server: Server, number: int) -> None:
        caller = Caller(server)
        while not ended.is_set():
            least, token = current[0], f"{number}-{answered[number]}"
            form = "binary" if answered[number] % 2 else "structured"
            status, reply, body = caller.send(event({"token": token}), form)
            if reply is None or reply.data["token"] != token or reply.data["version"] < least:
                problems.append(f"{status} {least} {body!r}")
            answered[number] += 1
            if number % 2:
                caller.http.close()  # the next event comes on a connection of its own
        caller.http.close()

    with Server("--cloudevents") as server:
        server.post(_VERSION % 1)
        callers = [threading.Thread(target=call, args=(server, each)) for each in range(CLIENTS)]
        for each in callers:
            each.start()
        try:
            for version in range(2, REPLACEMENTS + 2):
                server.post(_VERSION % version)
                current[0] = version
        finally:
            ended.set()
            for each in callers:
                each.join(30.0)
        assert not problems
        assert all(answered)
        server.end_well()


def test_a_death_is_answered_with_an_error_and_the_next_event_is_served() -> None:
    with Server("--cloudevents") as server, Caller(server) as caller:
        server.post(_VERSION % 1)
        status, _, body = caller.send(event({"kill": 1}))
        assert status == 502
        assert "killed by signal 9" in json.loads(body)["error"]
        status, reply, _ = caller.send(event({"token": "next"}))
        assert (status, reply and reply.data["token"]) == (200, "next")


def test_a_server_whose_only_worker_is_in_a_handler_is_ready_at_once(tmp_path: Path) -> None:
    begun, gate = (str(tmp_path / name) for name in ("begun", "gate"))
    os.mkfifo(begun)
    os.mkfifo(gate)
    statuses: list[int] = []

    def call(server: Server) -> None:
        with Caller(server) as caller:
            statuses.append(caller.send(event({"begun": begun, "gate": gate}))[0])

    with Server("--cloudevents") as server:
        server.post(_GATE)
        thread = threading.Thread(target=call, args=(server,))
        thread.start()
        with open(begun), Caller(server) as caller:
            try:
                for path in ("/health/readiness", "/health/liveness"):
                    caller.http.request("GET", path)
                    response = caller.http.getresponse()
                    assert (response.status, response.read()) == (200, b"OK\n")
                assert not statuses
            finally:
                with open(gate, "w"):
                    thread.join(20.0)
        assert statuses == [204]
        server.end_well()


def test_a_server_without_the_option_does_not_import_the_code_for_it() -> None:
    for arguments, found in (((), False), (("--cloudevents",), True)):
        with Server(*arguments) as server:
            server.post(_MODULES)
            assert bool(run_once(server.address, {}).json()["names"]) is found


def test_a_program_is_refused() -> None:
    with Server("--cloudevents") as server, Caller(server) as caller:
        code = "#!/bin/sh\ncat >&3\n"
        body = json.dumps({"value": {"code": code}})
        caller.http.request("POST", "/init", body)
        response = caller.http.getresponse()
        assert response.status == 502
        assert "a program cannot take CloudEvents" in json.loads(response.read())["error"]
