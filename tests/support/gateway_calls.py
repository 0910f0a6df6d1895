"""Clients of a gateway that know which answers are right, and what was acknowledged to them."""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
import time
from base64 import b64encode
from typing import Any

from tests.support.gateway import GatewayProcess

SOURCE = """
def main(args):
    print(args["token"])
    return {{"action": {action}, "version": {version}, "token": args["token"]}}
"""
BACKGROUND = 0.1
"""The part of the calls that do not wait for the result."""


def name_of(action: int) -> str:
    return f"action-{action}"


class Acknowledged:
    """What clients may expect, since an answer told them. Any thread may use it."""

    def __init__(self, actions: int) -> None:
        self.begun = [1] * actions
        """By action, the newest version that was sent."""
        self.versions = [0] * actions
        """By action, the newest version whose update was answered."""
        self.activations: dict[str, tuple[int, str]] = {}
        """By activation id, the action and the token."""
        self.background: list[str] = []
        """The ids of the activations whose result was not waited for."""
        self.problems: list[str] = []
        self._lock = threading.Lock()

    def expect(self, truth: object, problem: str) -> None:
        """Note a problem unless ``truth`` holds."""
        if not truth:
            with self._lock:
                self.problems.append(problem)

    def check_record(self, record: dict[str, Any], least: int = 0) -> None:
        """Check the record of a success against the call with its id, and its least version."""
        action, token = self.activations[record["activationId"]]
        result = record["response"]["result"]
        self.expect(
            result.get("action") == action and result.get("token") == token,
            f"call {token} of {name_of(action)} got {result}",
        )
        version = result.get("version", 0)
        self.expect(
            least <= version <= self.begun[action],
            f"{name_of(action)} answered with version {version}; {least} was acknowledged",
        )
        printed = [line.partition(": ")[2] for line in record["logs"]]
        self.expect(printed == [token], f"call {token} has the log {printed}")


class Client:
    """One client with a connection that it keeps. Not for several threads."""

    def __init__(self, gateway: GatewayProcess, known: Acknowledged, seed: int) -> None:
        self._known = known
        self._random = random.Random(seed)
        self._count = 0
        self._seed = seed
        self._key = "Basic " + b64encode(gateway.auth.encode()).decode()
        self._connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=90)

    def close(self) -> None:
        self._connection.close()

    def put(self, action: int) -> None:
        """Store the next version of an action."""
        self._known.begun[action] = version = self._known.versions[action] + 1
        source = SOURCE.format(action=action, version=version)
        path = f"actions/{name_of(action)}?overwrite=true"
        body = {"exec": {"kind": "python:3", "code": source}}
        status, answer = self.send("PUT", path, body)
        self._known.expect(status == 200, f"update of {name_of(action)}: {status} {answer}")
        self._known.versions[action] = version

    def call(self, action: int | None = None) -> int:
        """
        Call an action and wait, or call any; check the answer if it is a success.

        Return the status of the answer.
        """
        known, waits = self._known, True
        if action is None:
            action = self._random.randrange(len(known.versions))
            waits = self._random.random() >= BACKGROUND
        self._count += 1
        token, least = f"{self._seed}-{self._count}-{action}", known.versions[action]
        path = f"actions/{name_of(action)}" + ("?blocking=true" if waits else "")
        status, answer = self.send("POST", path, {"token": token})
        if "activationId" in answer:
            known.activations[answer["activationId"]] = (action, token)
        if status == 200:
            known.check_record(answer, least)
        elif status == 202:
            known.background.append(answer["activationId"])
        return status

    def send(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Send a request below ``/api/v1/namespaces/_``; return status and document."""
        headers = {"Authorization": self._key, "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, f"/api/v1/namespaces/_/{path}", content, headers)
            if self._connection.sock is not None:
                self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            response = self._connection.getresponse()
            return response.status, json.loads(response.read())
        except BaseException:
            self._connection.close()
            raise


def wait_record(client: Client, identifier: str, timeout: float = 60.0) -> dict[str, Any] | None:
    """Return the record of an activation once there is one; None if there is none in time."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        status, answer = client.send("GET", f"activations/{identifier}")
        if status == 200:
            found: dict[str, Any] = answer
            return found
        threading.Event().wait(0.02)
    return None
