"""What a worker answers to a CloudEvent."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from hotwhisk.config.tokens import Tokens
from hotwhisk.ipc.scoreboard import Phase
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.openwhisk.context import Context
from tests.support.wire import Response, run_request
from tests.unit.worker.supervised import Client, Supervised

ATTRIBUTES = {"specversion": "1.0", "id": "7", "type": "test.hello", "source": "/test"}
REPLY = {"specversion": "1.0", "type": "test.reply", "source": "/reply", "id": "8"}
CLOSED = "Connection: close"
LOCAL = "Host: 127.0.0.1"


def request(body: bytes, *lines: str, start: str = "POST /") -> bytes:
    head = [f"{start} HTTP/1.1", LOCAL, f"Content-Length: {len(body)}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


def binary(data: object, *lines: str) -> bytes:
    headers = [f"ce-{name}: {value}" for name, value in ATTRIBUTES.items()]
    return request(json.dumps(data).encode(), "Content-Type: application/json", *headers, *lines)


def structured(data: object) -> bytes:
    body = json.dumps(ATTRIBUTES | {"data": data}).encode()
    return request(body, "Content-Type: application/cloudevents+json")


ASK = binary({"name": "Mike"})


@pytest.fixture
def events(supervise: Callable[..., Supervised]) -> Supervised:
    made = supervise(cloudevents=True)
    made.serve(lambda event: event)
    return made


@pytest.mark.parametrize("sent", [ASK, structured({"name": "Mike"})], ids=["binary", "structured"])
def test_the_handler_gets_the_data_and_answers_in_json(events: Supervised, sent: bytes) -> None:
    response = events.client(sent).response()
    assert (response.status, response.json()) == (200, {"name": "Mike"})
    assert response.headers["content-type"] == "application/json"
    assert response.generation == 7


def test_without_data_the_handler_gets_an_empty_dict(events: Supervised) -> None:
    headers = [f"ce-{name}: {value}" for name, value in ATTRIBUTES.items()]
    assert events.client(request(b"", *headers)).response().json() == {}


def test_the_context_has_the_event(events: Supervised) -> None:
    def look(event: object, context: Context) -> object:
        found = context.cloudevent
        return {"event": found and found.get_attributes(), "data": found and found.data}

    events.serve(look)
    client = events.client(ASK + run_request({}))
    told = client.response().json()
    assert told["event"] == ATTRIBUTES | {"datacontenttype": "application/json"}
    assert told["data"] == {"name": "Mike"}
    assert client.response().json() == {"event": None, "data": None}


def test_nothing_is_answered_with_nothing(events: Supervised) -> None:
    events.serve(lambda _: None)
    client = events.client(ASK)
    end = b"\r\n\r\n"
    received = b""
    while not received.endswith(end):
        received += client.socket.recv(1000)
    assert received.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert b"Content-Length" not in received
    assert b"Content-Type" not in received


def test_an_event_is_answered_in_the_binary_form(events: Supervised) -> None:
    events.serve(lambda event: REPLY | {"data": event})
    response = events.client(structured([1, 2])).response()
    headers = {name: value for name, value in response.headers.items() if name.startswith("ce-")}
    assert headers.pop("ce-time")
    assert headers == {f"ce-{name}": value for name, value in REPLY.items()}
    assert (response.status, response.body) == (200, b"[1,2]")


@pytest.mark.slow
def test_a_large_reply_is_sent_whole_to_a_slow_reader(events: Supervised) -> None:
    events.serve(lambda _: REPLY | {"data": "x" * 20_000_000})
    client = events.client(ASK)
    events.turn_until(lambda: bool(client.receive_some()) or client.has_response)
    response = read_slowly(events, client)
    assert len(response.body) == 20_000_002


def read_slowly(events: Supervised, client: Client) -> Response:
    """Let the worker write and the client read in turn, until the response is whole."""
    while (response := client._reader.next()) is None:
        events.turn(client.socket)
        client.receive_some()
    return response


@pytest.mark.parametrize(
    ("handler", "status", "why"),
    [
        (lambda _: 1 / 0, 500, "ZeroDivisionError: division by zero"),
        (lambda _: sys.exit(3), 502, "called sys.exit(3)"),
        (lambda _: "text", 502, "the handler returned str 'text'"),
        (lambda _: (part for part in "ab"), 502, "the handler yields, but this request is"),
        (lambda _: REPLY | {"type": ""}, 502, "an event that cannot be sent: `type` is ''"),
        (lambda _: REPLY | {"data": {1}}, 502, "an event that cannot be sent"),
    ],
)
def test_what_fails_has_a_status_that_makes_the_sender_try_again(
    events: Supervised, handler: Callable[[Any], object], status: int, why: str
) -> None:
    events.serve(handler)
    client = events.client(ASK)
    response = client.response()
    assert response.status == status
    assert why in str(response.error)
    assert response.headers["content-type"] == "application/json"
    events.serve(lambda event: event)
    client.send(ASK)
    events.turn()
    assert client.response().status == 200


@pytest.mark.parametrize(
    ("sent", "status", "why"),
    [
        (request(b"{}"), 400, "no event"),
        (binary({}, "ce-id: 8"), 400, "ce-id came twice"),
        (request(b"[]", "Content-Type: application/cloudevents-batch+json"), 415, "a batch"),
        (binary({}, "Origin: http://page"), 403, "a web page sent it"),
        (request(b"", start="GET /"), 405, "/ is for POST"),
        (request(b"", start="POST /x"), 404, "POST /run and POST /init and POST /"),
    ],
)
def test_a_refused_event_keeps_its_connection(
    events: Supervised, sent: bytes, status: int, why: str
) -> None:
    client = events.client(sent)
    response = client.response()
    assert response.status == status
    assert why in str(response.error)
    client.send(ASK)
    events.turn()
    assert client.response().status == 200


def test_a_run_is_answered_as_ever(events: Supervised) -> None:
    events.serve(lambda _: 1 / 0)
    response = events.client(run_request({})).response()
    assert response.status == 200
    assert "ZeroDivisionError" in str(response.error)


def test_without_the_option_there_are_no_events(supervised: Supervised) -> None:
    assert supervised.client(ASK).response().status == 404


def test_a_spare_parks_an_event_which_the_next_worker_answers(
    supervise: Callable[..., Supervised],
) -> None:
    spare = supervise(cloudevents=True)
    client = spare.client(ASK + ASK)
    assert spare.phase(client) is Phase.PARKED
    assert spare.spilled(client) == ASK + ASK
    spare.serve(lambda event: event)
    spare.assign(client)
    assert [client.response().status, client.response().status] == [200, 200]


def test_a_spare_says_why_there_is_no_action(supervise: Callable[..., Supervised]) -> None:
    spare = supervise(cloudevents=True)
    response = spare.client(ASK, run_error=Cause.NO_ACTION).response()
    assert response.status == 502


def test_an_event_in_many_pieces_is_answered_once(events: Supervised) -> None:
    sent = structured({"text": "x" * 100_000})
    client = events.client(sent[:50])
    client.send(sent[50:])
    events.turn_until(lambda: client.answered)
    assert len(client.response().json()["text"]) == 100_000


def test_events_of_an_asynchronous_handler_overlap(supervise: Callable[..., Supervised]) -> None:
    events = supervise(cloudevents=True)
    together = asyncio.Barrier(3)

    async def meet(event: dict[str, Any]) -> object:
        await together.wait()
        return None if event["name"] == "nothing" else event

    events.serve(meet)
    clients = [events.client(binary({"name": name})) for name in ("a", "nothing")]
    clients.append(events.client(run_request({"name": "run"})))
    events.run_tasks(lambda: all(client.answered for client in clients))
    assert clients[0].response().json() == {"name": "a"}
    assert clients[1].socket.recv(1000).startswith(b"HTTP/1.1 204 ")
    assert clients[2].response().json() == {"name": "run"}


def test_the_connection_is_closed_if_the_client_asks_for_it(events: Supervised) -> None:
    events.serve(lambda _: REPLY)
    client = events.client(binary({}, CLOSED))
    assert client.response().closes
    assert client.ended


# -- probes ------------------------------------------------------------------------------------

LIVES, READY = (
    request(b"", start="GET /health/liveness"),
    request(b"", start="GET /health/readiness"),
)


@pytest.mark.parametrize("sent", [LIVES, READY])
def test_a_worker_lives_and_is_ready(events: Supervised, sent: bytes) -> None:
    response = events.client(sent).response()
    assert (response.status, response.body) == (200, b"OK\n")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


def test_a_probe_needs_no_token_and_no_name_and_has_one_method(
    supervise: Callable[..., Supervised],
) -> None:
    events = supervise(cloudevents=True, tokens=Tokens(b"x" * 32, b"x" * 32))
    client = events.client(LIVES.replace(b"127.0.0.1", b"10.0.0.7"))
    assert client.response().status == 200
    client.send(LIVES.replace(b"GET", b"POST"))
    events.turn()
    response = client.response()
    assert (response.status, response.headers["allow"]) == (405, "GET, HEAD")
    client.send(LIVES.replace(b"GET", b"HEAD"))
    events.turn()
    head = client.socket.recv(1000)
    assert b"Content-Length: 3\r\n" in head
    assert head.endswith(b"\r\n\r\n")


def test_a_spare_lives_and_is_ready_when_a_version_is_current(
    supervise: Callable[..., Supervised],
) -> None:
    spare = supervise(cloudevents=True)
    assert spare.client(LIVES).response().status == 200
    assert spare.client(READY, run_error=Cause.NO_ACTION).response().status == 502
    client = spare.client(READY)
    response = client.response()
    assert (response.status, response.error) == (
        503,
        "no version is current: the first one is still loading",
    )
    assert spare.phase(client) is Phase.IDLE
    spare.assign(client, has_version=True)
    client.send(READY)
    spare.turn()
    assert client.response().status == 200
    assert spare.phase(client) is Phase.IDLE
    assert spare.client(READY, run_error=Cause.UNSTABLE).response().status == 502


def test_a_worker_that_stops_is_not_ready(events: Supervised) -> None:
    client = events.client()
    events.requests.stopping = True
    client.send(READY)
    events.turn()
    assert client.response().status == 503


# -- a sink ------------------------------------------------------------------------------------


class Sink:
    """A server that keeps what it is sent, and answers each request with ``status``."""

    def __init__(self, status: int) -> None:
        received = self.received = list[tuple[str, dict[str, str], bytes]]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                received.append((self.path, headers, body))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def sinks() -> Iterator[Callable[[int], Sink]]:
    made: list[Sink] = []

    def make(status: int) -> Sink:
        made.append(Sink(status))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_an_event_that_is_returned_goes_to_the_sink(
    events: Supervised, sinks: Callable[[int], Sink], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = sinks(202)
    monkeypatch.setenv("K_SINK", f"{sink.url}/broker?a=b")
    monkeypatch.setenv("K_CE_OVERRIDES", '{"extensions": {"team": "blue", "subject": "over"}}')
    events.serve(lambda event: REPLY | {"data": event, "subject": "under"})
    assert events.client(ASK).socket.recv(1000).startswith(b"HTTP/1.1 204 ")
    ((path, headers, body),) = sink.received
    assert (path, json.loads(body)) == ("/broker?a=b", {"name": "Mike"})
    assert headers["ce-type"] == "test.reply"
    assert (headers["ce-team"], headers["ce-subject"]) == ("blue", "over")


def test_what_is_no_event_is_answered_and_not_sent_to_the_sink(
    events: Supervised, sinks: Callable[[int], Sink], monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = sinks(202)
    monkeypatch.setenv("K_SINK", sink.url)
    assert events.client(ASK).response().json() == {"name": "Mike"}
    events.serve(lambda _: None)
    assert events.client(ASK).socket.recv(1000).startswith(b"HTTP/1.1 204 ")
    assert not sink.received


@pytest.mark.parametrize(
    ("url", "override", "why"),
    [
        ("", "", "did not take the event that the handler returned: 503"),
        ("http://127.0.0.1:1", "", "the sink cannot be reached, so"),
        ("", "[", "K_CE_OVERRIDES is not valid"),
        ("", '{"extensions": {"A": 1}}', "cannot name an attribute"),
    ],
)
def test_an_event_that_no_sink_takes_has_failed(
    events: Supervised, sinks: Callable[[int], Sink], monkeypatch: pytest.MonkeyPatch,
    url: str, override: str, why: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("K_SINK", url or sinks(503).url)
    monkeypatch.setenv("K_CE_OVERRIDES", override)
    events.serve(lambda _: REPLY)
    response = events.client(ASK).response()
    assert response.status == 502
    assert why in str(response.error)


@pytest.mark.parametrize(
    ("url", "logged"),
    [
        ("http://127.0.0.1:1/path?token=secret", "the sink http://127.0.0.1:1/path cannot be"),
        ("http://user:secret@127.0.0.1:1", "expected a URL without a user name and a password"),
        ("http://user:secret@[", "expected a URL that begins with http"),
        ("http://user:secret@a\u2100", "expected a URL that begins with http"),
        ("http://user:secret", "expected a URL that begins with http"),
        ("http://127.0.0.1:99999", "expected a URL that begins with http"),
        ("ftp://a.example", "expected a URL that begins with http"),
    ],
)
def test_the_log_says_why_a_sink_cannot_be_reached_and_shows_no_password(
    events: Supervised, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    url: str, logged: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("K_SINK", url)
    events.serve(lambda _: REPLY)
    told = str(events.client(ASK).response().error)
    assert told == "the sink cannot be reached, so the event that the handler returned is lost"
    line = capfd.readouterr().err
    assert logged in line
    assert "secret" not in line


def test_the_log_names_a_sink_that_does_not_take_an_event(
    events: Supervised, sinks: Callable[[int], Sink],
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    sink = sinks(503)
    monkeypatch.setenv("K_SINK", f"{sink.url}/broker")
    events.serve(lambda _: REPLY)
    told = str(events.client(ASK).response().error)
    assert "127.0.0.1" not in told
    assert f"the sink {sink.url}/broker did not take an event: 503" in capfd.readouterr().err


def test_an_asynchronous_handler_goes_on_while_events_go_to_the_sink(
    supervise: Callable[..., Supervised], sinks: Callable[[int], Sink],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    sink = sinks(200)
    monkeypatch.setenv("K_SINK", sink.url)
    events = supervise(cloudevents=True)

    async def handler(event: object) -> object:
        return REPLY | {"data": event}

    events.serve(handler)
    clients = [events.client(ASK) for _ in range(3)]
    events.run_tasks(lambda: all(client.answered for client in clients))
    assert {client.socket.recv(1000)[:12] for client in clients} == {b"HTTP/1.1 204"}
    assert len(sink.received) == 3


@pytest.mark.parametrize(
    ("sent", "status"), [(ASK, 500), (run_request({}), 200)], ids=["event", "run"]
)
def test_an_exception_from_outside_fails_an_event_as_one_of_the_handler(
    events: Supervised, monkeypatch: pytest.MonkeyPatch, sent: bytes, status: int
) -> None:
    def interrupt(*_: object) -> bool:
        monkeypatch.undo()
        raise ValueError("from outside")

    monkeypatch.setattr(events.requests, "end_run", interrupt)
    response = events.client(sent).response()
    assert response.status == status
    assert "ValueError: from outside" in str(response.error)
