"""The answers at ``--admin``, with a scripted supervisor."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from hotwhisk.config.config import Config, with_tokens
from hotwhisk.config.option import Address, maybe_address
from hotwhisk.config.tokens import Tokens, digest
from hotwhisk.errors import StartError
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.server.admin import Admin
from hotwhisk.server.questions import LONGEST
from tests.support.wire import Response, ResponseReader
from tests.unit.supervisor.scripted import Scripted

GET = b"GET %s HTTP/1.1\r\nHost: 127.0.0.1:9090\r\n%s\r\n"
Make = Callable[..., "Asked"]


class Asked:
    """An admin address, and a client of it."""

    def __init__(self, scripted: Scripted, config: Config, address: Address) -> None:
        self.scripted = scripted
        parts = scripted.supervisor.parts
        parts.processes.config = config
        self.admin = Admin(address, config, parts)

    def send(self, request: bytes) -> bytes:
        """Send bytes; return all that is answered."""
        address = self.admin.address
        family = socket.AF_UNIX if address.path else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as end:
            end.settimeout(5.0)
            end.connect(address.path or (address.host, address.port))
            end.sendall(request)
            for _ in range(4):
                self.scripted.supervisor.wait(0.02)
            found = b""
            while data := end.recv(65536):
                found += data
        return found

    def ask(self, request: bytes) -> Response:
        """Send a request; return its answer."""
        reader = ResponseReader()
        reader.feed(self.send(request))
        found = reader.next()
        assert found is not None
        assert found.closes
        return found

    def get(self, path: str, headers: str = "") -> tuple[int, str]:
        """Return the status and the text of an answer."""
        found = self.ask(GET % (path.encode(), headers.encode()))
        return found.status, found.body.decode()


@pytest.fixture
def make(script: Callable[..., Scripted]) -> Iterator[Make]:
    made: list[Asked] = []

    def begin(address: str = "0", token: str = "", **settings: object) -> Asked:
        config = Config(**settings)  # type: ignore[arg-type]
        if token:
            config = with_tokens(config, Tokens(digest(token), digest(token)))
        parsed = maybe_address(address)
        assert parsed is not None
        made.append(Asked(script(), config, parsed))
        return made[-1]

    yield begin
    for each in made:
        each.admin.close()


def test_ready_is_only_a_server_with_a_current_version(make: Make) -> None:
    asked = make()
    assert asked.get("/readyz") == (503, "no version is current: none was posted yet\n")
    rollout = asked.scripted.supervisor.rollout
    asked.scripted.serve()
    assert asked.get("/readyz") == (200, "ready\n")
    rollout.current.unstable = True
    assert asked.get("/readyz")[1].startswith("generation 1 crashes in a loop;")
    rollout.stop()
    assert asked.get("/readyz") == (503, "the server is stopping\n")
    assert asked.get("/healthz") == (200, "the server lives\n")


def test_ready_says_why_not_before_the_first_version(make: Make) -> None:
    asked = make()
    rollout = asked.scripted.supervisor.rollout
    rollout.submit(asked.scripted.candidate())
    assert asked.get("/readyz") == (503, "the first version is still loading\n")
    asked.scripted.supervisor.run_commands()
    assert rollout.candidate is not None
    assert rollout.candidate.slot is not None
    rollout.failed(rollout.candidate.slot, 502, "a secret of the source")
    assert rollout.dispatcher.run_error == Cause.LOAD_FAILED
    assert asked.get("/readyz")[1].startswith("no version is current: the last one did not load;")


def test_metrics_are_read_by_a_strict_reader(make: Make) -> None:
    asked = make()
    asked.scripted.serve()
    found = asked.ask(GET % (b"/metrics", b""))
    assert found.headers["content-type"] == (
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    )
    families = {each.name: each for each in text_string_to_metric_families(found.body.decode())}
    assert families["hotwhisk_current_generation"].samples[0].value == 1
    states = {each.labels["state"]: each.value for each in families["hotwhisk_workers"].samples}
    assert states["serving"] == 1
    assert states["killed"] == 0
    assert all(each.documentation for each in families.values())


def test_deaths_are_counted_by_their_cause(make: Make) -> None:
    asked = make()
    asked.scripted.die(asked.scripted.serve())
    assert 'hotwhisk_worker_deaths_total{cause="exited"} 1\n' in asked.get("/metrics")[1]
    assert 'hotwhisk_worker_deaths_total{cause="killed"} 0\n' in asked.get("/metrics")[1]


def test_a_bug_in_the_metrics_is_a_500_and_the_server_goes_on(make: Make) -> None:
    asked = make()
    stats = asked.scripted.supervisor.parts.stats
    real, stats.deaths_by_cause = stats.deaths_by_cause, None  # type: ignore[assignment]
    assert asked.get("/metrics") == (500, "")
    assert asked.scripted.logged[-1].startswith("a bug in hotwhisk, please report it: Traceback")
    assert asked.get("/healthz")[0] == 200
    stats.deaths_by_cause = real
    assert asked.get("/metrics")[0] == 200


@pytest.mark.parametrize("path", ["/", "/run", "/metrics/", "/HEALTHZ"])
def test_another_path_is_told_what_there_is(make: Make, path: str) -> None:
    status, text = make().get(path)
    assert status == 404
    assert text == f"no such path: {path}; there are /healthz, /readyz, /metrics\n"


def test_a_query_is_ignored(make: Make) -> None:
    assert make().get("/healthz?verbose=1")[0] == 200


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"OPTIONS"])
def test_another_method_is_told_what_there_is(make: Make, method: bytes) -> None:
    request = b"%s /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n" % method
    found = make().ask(request + b"x" * 900)
    assert (found.status, found.headers["allow"]) == (405, "GET, HEAD")
    assert found.body == f"/metrics is for GET and HEAD, not for {method.decode()}\n".encode()


def test_head_is_get_without_the_body(make: Make) -> None:
    asked = make()
    head, _, body = asked.send(b"HEAD /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").partition(
        b"\r\n\r\n"
    )
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nContent-Length: 43" in head
    assert body == b""


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /healthz\r\n\r\n", 400),
        (b"GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"\x16\x03\x01", 400),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\nHost: a\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * LONGEST, 431),
    ],
)
def test_what_is_no_request_is_told(make: Make, request_bytes: bytes, status: int) -> None:
    assert make().ask(request_bytes).status == status


def test_half_a_request_is_not_answered(make: Make) -> None:
    asked = make()
    address = asked.admin.address
    with socket.create_connection((address.host, address.port), 5.0) as end:
        end.sendall(b"GET /healthz HTTP/1.1\r\nHo")
        end.shutdown(socket.SHUT_WR)
        for _ in range(4):
            asked.scripted.supervisor.wait(0.02)
        assert end.recv(1) == b""


def test_metrics_need_the_token_and_probes_do_not(make: Make) -> None:
    asked = make(token="secret", token_file="t")
    assert asked.get("/metrics")[0] == 401
    assert asked.get("/metrics", "Authorization: Bearer wrong\r\n")[0] == 401
    assert asked.get("/metrics", "Authorization: Bearer secret\r\n")[0] == 200
    assert asked.get("/healthz")[0] == 200
    assert asked.get("/readyz")[0] == 503


def test_a_question_for_metrics_reads_no_file_and_is_checked_by_the_tokens_known(
    make: Make, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("new")
    asked = make(token="known", token_file=str(tmp_path / "token"))
    assert asked.get("/metrics", "Authorization: Bearer new\r\n")[0] == 401
    assert asked.get("/metrics", "Authorization: Bearer known\r\n")[0] == 200
    processes = asked.scripted.processes
    processes.config = with_tokens(processes.config, Tokens(digest("new"), digest("new")))
    assert asked.get("/metrics", "Authorization: Bearer new\r\n")[0] == 200
    assert asked.get("/metrics", "Authorization: Bearer known\r\n")[0] == 401


def test_metrics_are_not_for_web_pages(make: Make) -> None:
    asked = make()
    assert asked.get("/metrics", "Origin: http://a.example\r\n")[0] == 403
    page = b"GET /metrics HTTP/1.1\r\nHost: a.example:9090\r\n\r\n"
    assert asked.ask(page).status == 403
    asked = make(openwhisk=True)
    assert asked.ask(page).status == 200


def test_events_from_a_network_open_no_metrics(make: Make) -> None:
    asked = make(cloudevents=True, host="0.0.0.0")
    assert asked.get("/metrics", "Origin: http://a.example\r\n")[0] == 403
    assert asked.ask(b"GET /metrics HTTP/1.1\r\nHost: a.example:9090\r\n\r\n").status == 403
    assert asked.get("/metrics")[0] == 200
    asked = make(cloudevents=True, host="0.0.0.0", replace_token_file="t")
    replaces = Tokens(b"", digest("replaces"))
    processes = asked.scripted.processes
    processes.config = with_tokens(processes.config, replaces)
    assert asked.get("/metrics")[0] == 401
    assert asked.get("/metrics", "Authorization: Bearer replaces\r\n")[0] == 200


def test_a_unix_socket_is_for_one_user_and_removed_at_the_end(
    make: Make, tmp_path: Path, script: Callable[..., Scripted]
) -> None:
    path = str(tmp_path / "admin.sock")
    asked = make(f"unix:{path}", token="secret", token_file="t")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert asked.get("/metrics")[0] == 200
    with pytest.raises(StartError, match=f"cannot listen on --admin unix:{path}: Address already"):
        Admin(asked.admin.address, Config(), script().supervisor.parts)
    asked.admin.close()
    assert not os.path.exists(path)


def test_a_left_over_socket_is_replaced_and_a_file_is_not(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(path))
    assert make(f"unix:{path}").get("/healthz")[0] == 200
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StartError, match="Address already in use"):
        make(f"unix:{tmp_path / 'file'}")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("address", ["192.0.2.1:0", "unix:/nowhere/a", "unix:/" + "a" * 200])
def test_an_address_that_cannot_be_used_is_told(make: Make, address: str) -> None:
    with pytest.raises(StartError, match=f"cannot listen on --admin {address}: "):
        make(address)
