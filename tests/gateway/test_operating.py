"""What an operator does with ``hotwhisk up``: start it, give out keys, watch it, copy its data."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.gateway import HOTWHISK_UP, GatewayProcess

pytestmark = pytest.mark.slow


def up(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command of ``hotwhisk up`` that ends."""
    return subprocess.run(
        [*HOTWHISK_UP, *arguments],
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def key(gateway: GatewayProcess, *arguments: str) -> str:
    """Return the key that ``hotwhisk up key`` prints."""
    done = up("key", *arguments, "--data", str(gateway.data))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# -- the start ---------------------------------------------------------------------------------


def test_the_first_lines_say_where_and_how_and_hold_no_key(gateway: GatewayProcess) -> None:
    gateway.wait_line(r"--wskprops", 10)
    first, second = gateway.stderr().splitlines()[:2]
    data = gateway.data
    assert first == f"hotwhisk: OpenWhisk's API and page on {gateway.url} · data in {data}"
    assert second == (
        f"hotwhisk: for wsk: wsk property set --apihost {gateway.url} "
        f'--auth "$(hotwhisk up key --data {data})"     (or: hotwhisk up --wskprops --data {data})'
    )
    assert gateway.auth.partition(":")[2] not in gateway.stderr()


def test_the_data_is_readable_by_its_owner_alone(gateway: GatewayProcess) -> None:
    gateway.create("hello", "def main(args):\n    return args\n")
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in gateway.data.iterdir()}
    assert stat.S_IMODE(gateway.data.stat().st_mode) == 0o700
    assert {mode for name, mode in modes.items() if name != "run"} == {0o600}, modes


def test_what_other_machines_reach_is_said() -> None:
    with GatewayProcess("--host", "0.0.0.0") as gateway:
        gateway.wait_line("other machines reach this port: .* need a key", 10)


def test_wsk_finds_address_and_key(tmp_path: Path) -> None:
    props = tmp_path / "props"
    props.write_text("NAMESPACE=_\n")
    env = {"WSK_CONFIG_FILE": str(props)}
    with GatewayProcess("--wskprops", env=env) as gateway:
        gateway.wait_line("for wsk: address and key are in", 10)
        assert props.read_text() == f"NAMESPACE=_\nAPIHOST={gateway.url}\nAUTH={gateway.auth}\n"
        props.unlink()
        done = up("--wskprops", "--data", str(gateway.data), env=env)
        assert done.returncode == 0
        assert done.stderr == f"hotwhisk: {props} is for {gateway.url}, which runs already\n"
        assert f"APIHOST={gateway.url}\n" in props.read_text()
        props.write_text("APIHOST=cluster\nAUTH=c:d\n")
        done = up("--wskprops", "--data", str(gateway.data), env=env)
        assert done.stderr.endswith(f"; what was there is in {props}.before-hotwhisk\n")


# -- keys --------------------------------------------------------------------------------------


def test_a_key_is_there_before_the_first_start(tmp_path: Path) -> None:
    data = tmp_path / "data"
    refused = up("key", "--data", str(data))
    assert refused.returncode == 2
    assert f"there is no folder {data}: hotwhisk up --data {data} makes it" in refused.stderr
    assert not data.exists()
    data.mkdir(mode=0o700)
    first = up("key", "--data", str(data))
    assert re.fullmatch(r"[0-9a-f-]{36}:[\w-]{64}\n", first.stdout), first
    assert first.stderr == "hotwhisk: the namespace guest is new\n"
    with GatewayProcess(data=tmp_path) as gateway:
        assert gateway.auth == first.stdout.strip()


def test_a_namespace_gets_a_key_while_the_gateway_runs(gateway: GatewayProcess) -> None:
    gateway.create("hello", "def main(args):\n    return args\n")
    team = key(gateway, "team")
    assert gateway.api("GET", "actions", auth=team).json == []
    assert key(gateway, "team") == team
    keys = up("keys", "--data", str(gateway.data))
    assert keys.stdout == "guest\nteam\n"


def test_a_replaced_key_opens_nothing(gateway: GatewayProcess) -> None:
    new = key(gateway, "--new")
    assert new != gateway.auth
    assert gateway.api("GET", "actions").status == 401
    assert gateway.api("GET", "actions", auth=new).status == 200


# -- metrics, health, log ----------------------------------------------------------------------


def test_health_needs_no_key_and_metrics_do(gateway: GatewayProcess) -> None:
    assert gateway.request("GET", "/healthz", auth="").content == b"ok\n"
    assert gateway.request("GET", "/readyz", auth="").content == b"ok\n"
    assert gateway.request("GET", "/metrics", auth="").status == 401
    gateway.create("hello", "def main(args):\n    return args\n")
    gateway.invoke("hello")
    text = gateway.request("GET", "/metrics").content.decode()
    assert re.search(
        r'^openwhisk_action_activations_total\{action="hello".*\} 1\.0$', text, re.MULTILINE
    )
    other = gateway.request("GET", "/metrics", auth=key(gateway, "other")).content.decode()
    assert 'action="hello"' not in other
    assert "http_requests_total" in other


def test_an_error_and_the_log_have_the_same_identifier() -> None:
    with GatewayProcess("--log-format", "json", "--log-requests") as gateway:
        refused = gateway.api("GET", "actions?secret=1", auth="a:b")
        gateway.wait_line('"status": 401', 10)
        lines = [json.loads(line) for line in gateway.stderr().splitlines()]
        line = next(each for each in lines if each.get("status") == 401)
        assert line["requestId"] == refused.json["code"] == refused.headers["x-request-id"]
        assert line["level"] == "WARNING"
        assert line["path"] == "/api/v1/namespaces/_/actions"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])
        source = "import os\n\ndef main(_):\n    return {'id': os.environ['__OW_TRANSACTION_ID']}\n"
        gateway.create("hello", source)
        trace = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
        answer = gateway.api("POST", "actions/hello?blocking=true", {}, headers=trace)
        gateway.wait_line('"trace_id"', 10)
        line = json.loads(gateway.stderr().splitlines()[-1])
        assert line["activation_id"] == answer.json["activationId"]
        assert line["trace_id"] == "a" * 32
        assert answer.json["response"]["result"] == {"id": line["requestId"]}
        assert "secret" not in gateway.stderr()


def test_a_log_that_is_not_read_holds_up_no_request() -> None:
    with GatewayProcess("--log-requests") as gateway:
        for _ in range(1500):  # more lines than a pipe takes
            assert gateway.request("GET", "/healthz", auth="").status == 200


def test_closed_streams_are_not_written_to(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        closed = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *HOTWHISK_UP)
        env = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        process = subprocess.Popen([*closed, "--port", "0", "--data", data], env=env)
        assert manager.recv(4096).startswith(b"READY=1")
        process.terminate()
        assert process.wait(20) == 0
    assert up("keys", "--data", data).stdout == "guest\n"
    assert (tmp_path / "data" / "lock").read_bytes() == b""


# -- backup ------------------------------------------------------------------------------------


def test_a_backup_put_into_a_new_folder_is_the_same_gateway(
    gateway: GatewayProcess, tmp_path: Path
) -> None:
    gateway.create("hello", "def main(args):\n    return {'hello': 1}\n")
    record = gateway.invoke("hello")
    copy = tmp_path / "copy.db"
    done = up("backup", str(copy), "--data", str(gateway.data))
    assert done.returncode == 0, done
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    again = up("backup", str(copy), "--data", str(gateway.data))
    assert again.returncode == 1
    assert again.stderr == f"hotwhisk: {copy} exists already; give a new name\n"
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    copy.rename(data / "hotwhisk.db")
    with GatewayProcess(data=tmp_path) as restored:
        assert restored.auth == gateway.auth
        assert restored.api("GET", f"activations/{record['activationId']}").json == record
        assert restored.invoke("hello")["response"]["result"] == {"hello": 1}


def test_a_backup_of_nothing_is_refused(tmp_path: Path) -> None:
    done = up("backup", str(tmp_path / "copy"), "--data", str(tmp_path / "missing"))
    assert done.returncode == 2
    assert "there is no database in" in done.stderr


@pytest.mark.parametrize("command", ["backup", "export"])
def test_a_missing_word_is_asked_for_with_the_help_of_that_command(command: str) -> None:
    done = up(command)
    assert done.returncode == 2
    assert done.stderr.endswith(f"see hotwhisk up {command} --help\n")


def test_a_mistyped_word_is_answered_with_the_nearest(tmp_path: Path) -> None:
    assert (
        up("backpu").stderr == "hotwhisk: hotwhisk up does not know backpu; did you mean backup?\n"
    )
    assert up("--prot", "1").stderr.endswith("unknown option --prot; did you mean --port?\n")
    assert up("key", "a/b").stderr.startswith('hotwhisk: "a/b" cannot be the name of a namespace')


# -- events ------------------------------------------------------------------------------------


def test_each_event_is_a_line(gateway: GatewayProcess) -> None:
    gateway.create("hello", "def main(args):\n    return args\n")
    gateway.invoke("hello", {"password": "geheim"})
    gateway.create("hello", "1 / 0\n")
    gateway.invoke("hello")
    assert gateway.api("DELETE", "actions/hello").status == 200
    gateway.wait_line(r"server of guest/hello ended", 10)
    lines = [
        re.sub(r"process \d+", "process N", line) for line in gateway.stderr().splitlines()[2:]
    ]
    assert lines == [
        "hotwhisk: action guest/hello created (0.0.1)",
        "hotwhisk: server of guest/hello started (process N)",
        "hotwhisk: action guest/hello updated (0.0.2)",
        (
            "hotwhisk: action guest/hello did not load (0.0.2): "
            "the code raised ZeroDivisionError while it was loaded: division by zero"
        ),
        "hotwhisk: action guest/hello deleted",
        "hotwhisk: server of guest/hello ended (process N)",
    ]


def test_a_socket_that_systemd_has_opened_is_used(tmp_path: Path) -> None:
    script = 'exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"'
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            ["/bin/sh", "-c", script, "sh", *HOTWHISK_UP, "--data", str(tmp_path / "data")],
            stdin=listener.fileno(), stderr=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"ok\n"
        connection.close()
    finally:
        process.terminate()
        assert process.wait(20) == 0
