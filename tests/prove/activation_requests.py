"""Send requests that no invoker sends, and start runs whose log no invoker collects."""

from __future__ import annotations

import json
import time
from collections import Counter

from hotwhisk.platform.action import init_body
from hotwhisk.platform.exchange import HttpAnswer, Outcome, call
from hotwhisk.platform.verdict import Status, judge_run

from .activation_container import ANSWER_TIMEOUT, Container
from .activation_record import brief
from .activation_rules import NOT_AN_ARGUMENT, Event, Expected, expect, refusal


def send(host: Container, body: bytes, path: str = "/run") -> Outcome:
    """Send one request as the invoker's client sends it."""
    return call(host.runtime.url, path, body, limits=(ANSWER_TIMEOUT, 1 << 20), retry=False)


def argument(host: Container, event: Event) -> int:
    """Send a scalar in place of the argument: it is refused, and the action does not run."""
    code, result, size = refusal(NOT_AN_ARGUMENT)
    host.invoke(event["given"], Expected(code, result, size, sentinels=0))
    return 1


BAD_BODIES = (
    b"{", b"not json", b'"text"', b"[1, 2]", b"null", b"17", b"\xff\xfe{", b'{"value": {}} and',
    b'{"value": {}, "a=b": "c"}', b'{"value": {}, "": "c"}', b'{"value": {}, "a": "b\\u0000"}',
    b'{"value": {}, "a\\u0000": "b"}', b'{"value": {}, "a": "\\ud800"}', b"[" * 50_000,
)  # fmt: skip


def bad_body(host: Container, _: Event) -> int:
    """Send bodies that are not requests to run: each gets 400, and the action is not disturbed."""
    body = host.random.choice(BAD_BODIES)
    refused(host, send(host, body), 400, "/run: ", body[:60])
    return 1


def unknown_route(host: Container, _: Event) -> int:
    """Post to an unknown path: 404."""
    path = host.random.choice(["/", "/nope", "/run/", "/runs", "/init/x"])
    refused(host, send(host, b'{"value":{}}', path), 404, "no such path: ", path)
    return 1


def second_init(host: Container, _: Event) -> int:
    """
    Send a second /init: 403, a line in the log, and no sentinel, which would shift each
    later log.
    """
    body = init_body(host.action, host.invoker.new_names(), 0)
    text = "Cannot initialize the action more than once."
    refused(host, send(host, body, "/init"), 403, text, "second /init", (text,))
    return 1


def refused(
    host: Container, outcome: Outcome, status: int, begins: str, event: object,
    log: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """Check an error of one key, a developer error to the platform, without a sentinel."""
    answer = outcome.answer
    verdict = judge_run(outcome, host.action.limits, host.runtime.out_of_memory)
    text = _error(answer.body) if isinstance(answer, HttpAnswer) else ""
    right = (
        isinstance(answer, HttpAnswer)
        and answer.status == status
        and text.startswith(begins)
        and verdict.status is Status.DEVELOPER_ERROR
        and verdict.result == {"error": text}
    )
    host.note([] if right else [f"{status} and {begins!r} expected: {brief(answer)}"], event)
    host.account(Counter(host.logs.sentinels_read), 0, event, log)


def _error(body: bytes) -> str:
    document = json.loads(body)
    return str(document["error"]) if list(document) == ["error"] else ""


def odd_context(host: Container, event: Event) -> int:
    """Send numbers, constants and documents in place of texts: each arrives as its JSON text."""
    before = Counter(host.logs.sentinels_read)
    context = {
        "deadline": int(time.time() * 1000) + host.plan.timeout,
        "activation_id": 5, "flag": True, "list": [1, 2.5, None], "nothing": None,
    }  # fmt: skip
    names = ["__OW_DEADLINE", "__OW_ACTIVATION_ID", "__OW_FLAG", "__OW_LIST", "__OW_NOTHING"]
    asked = {**event, "names": names}
    outcome = send(host, json.dumps({"value": asked, **context}).encode())
    values = (str(context["deadline"]), "5", "true", "[1,2.5,null]")
    expected = expect(asked, dict(zip(names, values, strict=False)))
    verdict = judge_run(outcome, host.action.limits, host.runtime.out_of_memory)
    right = verdict.shown() == expected.response
    host.note([] if right else [f"{brief(verdict)}, not {brief(expected)}"], context)
    come(host, before, 1, expected, asked)
    return 1


def come(
    host: Container, before: Counter[str], sentinels: int, expected: Expected, event: object
) -> None:
    """Wait for the sentinels of runs whose log no invoker collects, and compare the log."""
    found = host.wait_sentinels(before, sentinels)
    out = tuple(text.strip() for stream, text in found if stream == "stdout")
    err = tuple(text.strip() for stream, text in found if stream == "stderr")
    same = out == expected.out and err == expected.err
    host.note([] if same else [f"log: {brief(found)}, not {brief(expected)}"], event)
    host.account(before, sentinels, event)
