"""``--admin`` of a real server: probes and metrics, also while every worker hangs."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from hotwhisk.server.questions import MOST_OPEN, TIME_LIMIT
from tests.support import tree
from tests.support.client import Address, Connection, run_once
from tests.support.prometheus import Prometheus
from tests.support.rendezvous import Rendezvous
from tests.support.server import Server
from tests.support.waiting import stop_idle, wait_idle
from tests.support.wire import init_request, run_request

from . import actions, control

pytestmark = pytest.mark.slow

MANY = 260


def address(server: Server) -> Address:
    """Return where a server answers, from the line that it logged at its start."""
    found = re.search(r"/metrics are answered on http://(\S+):(\d+)\n", server.stderr())
    assert found, server.stderr()
    return found[1], int(found[2])


def get(place: Address | Path, path: str, token: str = "") -> tuple[int, str]:
    """Return the status and the text of an answer."""
    connection = http.client.HTTPConnection("localhost", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX if isinstance(place, Path) else socket.AF_INET)
    connection.sock.settimeout(10)
    with closing(connection):
        connection.sock.connect(str(place) if isinstance(place, Path) else place)
        connection.request(
            "GET", path, headers={"Authorization": f"Bearer {token}"} if token else {}
        )
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def sample(place: Address, name: str, **labels: str) -> float:
    """Return the value of one metric."""
    for family in text_string_to_metric_families(get(place, "/metrics")[1]):
        for each in family.samples:
            if each.name == name and each.labels == labels:
                return float(each.value)
    raise AssertionError(f"no {name} {labels}")


def test_readiness_follows_the_first_version_and_the_stop() -> None:
    with Server("--admin", "0") as server, Rendezvous() as meet:
        place = address(server)
        assert get(place, "/readyz") == (503, "no version is current: none was posted yet\n")
        server.post(actions.plain(1))
        assert get(place, "/readyz") == (200, "ready\n")
        with Connection(server.address) as running:
            running.send_run({"hold": meet.path})
            held = meet.wait_arrival()
            server.terminate()
            control.wait_until(server, lambda _: get(place, "/readyz")[0] == 503, "not ready")
            assert get(place, "/readyz")[1] == "the server is stopping\n"
            assert get(place, "/healthz")[0] == 200
            held.release()
            assert running.read_response().value("version") == 1
        server.end_well()


def test_a_version_that_does_not_load_is_not_ready_and_says_no_secret(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("raise ValueError('a secret')\n")
    with Server("--admin", "0", str(bad)) as server:
        status, text = get(address(server), "/readyz")
        assert status == 503
        assert text.startswith("no version is current: the last one did not load;")
        assert "secret" not in text


@pytest.mark.parametrize("how", ["handler", "stopped"])
def test_it_is_answered_while_every_worker_hangs(how: str) -> None:
    with Server("--admin", "0", "--workers", "2") as server, Rendezvous() as meet:
        server.post(actions.plain(1))
        control.wait_until(server, lambda _: len(control.pids(server, "serving")) == 2, "workers")
        place = address(server)
        held = []
        with ExitStack() as stack:
            ends = [stack.enter_context(Connection(server.address)) for _ in range(2)]
            if how == "handler":
                for end in ends:
                    end.send_run({"hold": meet.path})
                held = [meet.wait_arrival() for _ in ends]
            else:
                for pid in control.pids(server, "serving"):
                    stop_idle(pid)
            began = time.monotonic()
            for _ in range(20):
                assert get(place, "/healthz")[0] == 200
                assert get(place, "/readyz")[0] == 200
                assert sample(place, "hotwhisk_current_generation") == 1
            assert time.monotonic() - began < 2.0
            if held:
                assert sample(place, "http_requests_in_flight") == 2
                for each in held:
                    each.release()
                assert [end.read_response().value("version") for end in ends] == [1, 1]


def test_many_silent_and_slow_clients_hold_nothing_up() -> None:
    with Server("--admin", "0", nofile=256) as server, ExitStack() as stack:
        server.post(actions.plain(1))
        place = address(server)
        for number in range(MANY):
            end = stack.enter_context(socket.create_connection(place, 10.0))
            if number % 3:
                end.sendall((b"GET /metrics HTTP/1.1\r\n", b"GET /met")[number % 2])
        with Connection(server.address) as kept:
            for _ in range(20):
                assert kept.run({}).value("version") == 1
                assert run_once(server.address, {}).value("version") == 1
                assert get(place, "/readyz")[0] == 200
        server.post(actions.plain(2))
        assert sample(place, "hotwhisk_replacements_total") == 1
        assert len(tree.descriptors(server.pid)) < 64


def test_a_silent_client_is_closed_at_its_time_limit() -> None:
    with Server("--admin", "0") as server:
        with socket.create_connection(address(server), TIME_LIMIT + 5.0) as end:
            assert end.recv(1) == b""
        server.end_well()


def test_clients_that_read_nothing_cost_no_descriptors() -> None:
    with Server("--admin", "0") as server:
        server.post(actions.plain(1))
        place = address(server)
        get(place, "/metrics")
        before = len(tree.descriptors(server.pid))
        for _ in range(100):
            with socket.create_connection(place, 10.0) as end:
                end.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        get(place, "/metrics")
        assert len(tree.descriptors(server.pid)) <= before + MOST_OPEN


def test_a_token_is_needed_for_metrics_alone(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    with Server("--admin", "0.0.0.0:0", "--token-file", str(tmp_path / "token")) as server:
        _, port = address(server)
        place = ("127.0.0.1", port)
        assert get(place, "/metrics")[0] == 401
        assert get(place, "/metrics", "secret")[0] == 200
        assert get(place, "/healthz")[0] == 200


def test_under_openwhisk_a_unix_socket_stays_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with Server("--openwhisk", "--admin", f"unix:{path}") as server:
        assert get(path, "/readyz")[0] == 503
        server.post(actions.plain(1))
        assert get(path, "/readyz")[0] == 200
        assert control.mode(path) == 0o600
        assert server.stderr().count("hotwhisk") == 0
        server.end_well()
    assert not path.exists()
    with Server("--admin", f"unix:{path}") as server:
        server.process.kill()
        server.process.wait()
    assert path.exists()
    with Server("--admin", f"unix:{path}") as server:
        assert get(path, "/healthz")[0] == 200
        server.end_well()


def test_a_real_prometheus_reads_the_metrics(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    token = ("--token-file", str(tmp_path / "token"))
    with Server("--admin", "0", *token) as server, ExitStack() as stack:
        host, port = address(server)
        authorization = f"authorization: {{ credentials_file: {tmp_path / 'token'} }}"
        prometheus = stack.enter_context(Prometheus(f"{host}:{port}", tmp_path, authorization))
        prometheus.wait_values("up", {"": 1})
        (target,) = prometheus.ask("targets")["activeTargets"]
        assert target["lastError"] == ""
        prometheus.wait_values("hotwhisk_current_generation", {"": 0})
        kept = stack.enter_context(Connection(server.address))
        secret = "Authorization: Bearer secret"
        for version in (1, 2):
            kept.send(init_request(actions.plain(version), secret))
            assert kept.read_response().status == 200
            for _ in range(10 * version):
                kept.send(run_request({}, secret))
                assert kept.read_response().value("version") == version
        kept.send(run_request({"hold": []}, secret))  # the handler raises
        assert "TypeError" in str(kept.read_response().error)
        kept.send(run_request({}))
        assert kept.read_response().status == 401
        for kind, counts in {"ok": (10, 20), "error": (0, 1), "refused": (0, 1)}.items():
            found = {f"{number},{kind}": count for number, count in zip("12", counts, strict=True)}
            query = f'http_requests_total{{kind="{kind}",generation!="0"}}'
            prometheus.wait_values(query, found)
        query = 'http_request_duration_seconds_count{generation!="0"}'
        prometheus.wait_values(query, {"1": 10, "2": 21})
        query = 'histogram_quantile(0.95, http_request_duration_seconds_bucket{generation="2"})'
        (quantile,) = prometheus.values(query).values()
        assert 0.0 < quantile < 1.0
        prometheus.wait_values("hotwhisk_current_generation", {"": 2})
        prometheus.wait_values("hotwhisk_replacements_total", {"": 1})
        prometheus.wait_values('hotwhisk_workers{state=~"serving|busy"}', {"busy": 0, "serving": 1})
        pid = control.pid(server, "serving")
        wait_idle(pid)
        os.kill(pid, signal.SIGKILL)
        prometheus.wait_values('hotwhisk_worker_deaths_total{cause="killed"}', {"killed": 1})
        (labels,) = prometheus.values("hotwhisk_build_info")
        assert "plain" in labels.split(",")
