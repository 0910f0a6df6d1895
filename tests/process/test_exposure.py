"""
Check that in the plain profile only this machine reaches the port, whatever the user types.

Each case starts a real server, or tries to, and asks the kernel where that process listens: its own
descriptors, looked up in /proc/net.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from hotwhisk.config import option
from hotwhisk.config.option import Option
from hotwhisk.config.options import OPTIONS
from tests.support.listening import listening_addresses
from tests.support.server import ROOT
from tests.support.waiting import wait_exit

pytestmark = pytest.mark.slow

LOOPBACK = {"127.0.0.1", "::1"}
TEXTS = {
    option.text: "name", option.words: "json", option.port: "0", option.count: "1",
    option.maybe_address: "0", option.maybe_count: "10", option.seconds: "5", option.seconds_or_none: "5",
    option.log_format: "json", option.maybe_probation: "60",
}  # fmt: skip
"""A value for each reader of an option; a descriptor would have to be open."""

OWN = {"host": "127.0.0.1", "main": "main", "token_file": "token"}
SAMPLES = {
    each.name: OWN.get(each.name, TEXTS[each.read]) for each in OPTIONS if each.read in TEXTS
}

OTHER_SERVERS = [
    ["--debug"], ["--debug", "--host", "127.0.0.1"], ["--reload"], ["--env", "A=b"], ["--env={}"],
    ["--env-file", ".env"], ["--config", "x.toml"], ["--source", "hello.py"], ["--source=hello.py"],
    ["--target", "main"], ["--target=main"], ["--compile"], ["--compile", "main"], ["--bind", "0.0.0.0"],
    ["-b", "0.0.0.0:0"], ["-p", "0"], ["-p0"], ["-h0.0.0.0"], ["-H", "0.0.0.0"], ["--version"],
    ["-debug"], ["-debug=true"], ["-compile", "main"], ["-env", "{}"], ["-version"], ["--signature-type", "http"],
    ["--threaded"], ["--no-debug"], ["--open-whisk"], ["--OPENWHISK"], ["-openwhisk"], ["--openwhisk=no"],
    ["--openwhisk=yes"], ["--no-openwhisk"], ["--no-host"], ["--public"], ["--dev"], ["--proxy"],
]  # fmt: skip

ENVIRONMENTS: list[dict[str, str]] = [
    {"HOST": "0.0.0.0"}, {"HOTWHISK_HOST": "0.0.0.0"}, {"HOTWHISK_HOST": "::"}, {"HOTWHISK_HOST": "0"},
    {"HOTWHISK_HOST": ""}, {"HOTWHISK_HOST": "localhost"}, {"HOTWHISK_HOST": "0177.0.0.1"},
    {"HOTWHISK_HOST": "0127.0.0.1"}, {"HOTWHISK_HOST": socket.gethostname()}, {"HOTWHISK_DEBUG": "1"},
    {"HOTWHISK_OPENWHISK": "no"}, {"HOTWHISK_OPENWHISK": ""}, {"HOTWHISK_OPENWHISK": "maybe"},
    {"HOTWHISK_BIND": "0.0.0.0"}, {"OW_DEBUG": "1"}, {"PROXY_ALLOW_REINIT": "1"}, {"DEBUG": "1"},
    {"OW_EXECUTION_ENV": "openwhisk/action-python-v3.11"}, {"OW_LOG_INIT_ERROR": "1"},
    {"OW_WAIT_FOR_ACK": "1"}, {"OW_COMPILER": "/bin/true"}, {"__OW_ALLOW_CONCURRENT": "true"},
    {"__OW_API_HOST": "https://a.example"}, {"FLASK_DEBUG": "1"}, {"FLASK_RUN_HOST": "0.0.0.0"},
    {"UVICORN_HOST": "0.0.0.0"}, {"FUNCTION_TARGET": "main"}, {"FUNCTION_SOURCE": "hello.py"},
    {"K_SERVICE": "hello", "K_REVISION": "hello-1", "PORT": "0"}, {"AWS_LAMBDA_RUNTIME_API": "a:1"},
    {"WEB_CONCURRENCY": "2"}, {"GUNICORN_CMD_ARGS": "--bind 0.0.0.0"}, {"HOTWHISK_TOKEN": "x"},
    {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
]  # fmt: skip


class Outcome:
    """How a command ended, or where it listened while it served."""

    def __init__(self, code: int | None, addresses: set[str], said: str) -> None:
        self.code = code
        self.addresses = addresses
        self.said = said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hello.py").write_text("def main(args):\n    return args\n")
    (tmp_path / "token").write_text("secret\n")
    return tmp_path


def outcome(
    folder: Path, arguments: Sequence[str], env: Mapping[str, str] | None = None
) -> Outcome:
    """Run ``hotwhisk`` with these arguments until it serves or ends."""
    environ = {name: value for name, value in os.environ.items() if name != "PORT"}
    environ |= {"PYTHONPATH": str(ROOT / "src"), "NOTIFY_SOCKET": str(folder / "notify")}
    environ |= {"HOTWHISK_PORT": "0", "HOTWHISK_RUN_DIR": str(folder / "own")} | dict(env or {})
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify,
        (folder / "said").open("wb") as said,
    ):
        notify.bind(environ["NOTIFY_SOCKET"])
        process = subprocess.Popen(
            [sys.executable, "-m", "hotwhisk", *arguments],
            cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        )  # fmt: skip
        pidfd = os.pidfd_open(process.pid)
        try:
            addresses = set(_served(process.pid, pidfd, notify))
            process.send_signal(signal.SIGTERM)
            assert wait_exit(pidfd, 10.0), f"{arguments} did not end"
        finally:
            process.kill()
            code = process.wait()
            os.close(pidfd)
            (folder / "notify").unlink()
    return Outcome(code, addresses, (folder / "said").read_text())


def _served(pid: int, pidfd: int, notify: socket.socket) -> Iterator[str]:
    """Yield where it listens when it reports that it is ready; nothing if it ends before."""
    while select.select([notify, pidfd], [], [], 10.0)[0] == [notify]:
        if b"READY=1" in notify.recv(4096):
            yield from listening_addresses(pid)
            return


def must_be_for_this_machine(found: Outcome, case: object) -> None:
    """Expect that it was refused as a mistake, or listened on loopback only."""
    if found.addresses:
        assert found.addresses <= LOOPBACK, f"{case}: listens on {found.addresses}"
        assert found.code == 0, f"{case}: {found.said}"
    else:
        assert found.code in (1, 2), f"{case}: {found.code}: {found.said}"
        assert found.said.startswith("hotwhisk: "), f"{case}: {found.said}"


def forms(row: Option) -> list[list[str]]:
    """Return one option in its correct form and mistyped."""
    value = [SAMPLES[row.name]] if row.name in SAMPLES else []
    flag = row.flag
    return [
        *([[flag, *value]] if value or row.name == "watch" else []),
        *([[f"{flag}={value[0]}"]] if value else [[f"{flag}=yes"], [f"--no-{flag[2:]}"]]),
        [flag[1:], *value],
        [flag[:-1], *value],
        [flag[:-2], *value],
        [flag[:5], *value],
        [flag + flag[-1], *value],
        [flag[:3] + flag[4] + flag[3] + flag[5:], *value],
        [flag.upper(), *value],
        [flag.replace("-", "_"), *value],
        [f"-{flag}", *value],
    ]


@pytest.mark.parametrize("row", OPTIONS, ids=lambda row: row.name)
def test_no_option_and_no_misspelling_of_one_opens_the_port_to_the_network(
    folder: Path, row: Option
) -> None:
    for form in forms(row):
        must_be_for_this_machine(outcome(folder, ["serve", *form, "hello.py"]), form)


@pytest.mark.parametrize("flags", OTHER_SERVERS, ids=" ".join)
def test_flags_of_other_servers_open_nothing_to_the_network(folder: Path, flags: list[str]) -> None:
    found = outcome(folder, ["serve", *flags, "hello.py"])
    must_be_for_this_machine(found, flags)
    if flags != ["--no-openwhisk"]:
        assert found.code == 2
        assert not found.addresses


@pytest.mark.parametrize("env", ENVIRONMENTS, ids=str)
def test_no_variable_but_our_own_opens_the_port_to_the_network(
    folder: Path, env: dict[str, str]
) -> None:
    must_be_for_this_machine(outcome(folder, ["serve", "hello.py"], env), env)


@pytest.mark.parametrize("words", [["-debug"], ["--debug"], ["-debug", "serve"], ["-env", "{}"]])
def test_hotwhisk_without_a_command_opens_nothing(folder: Path, words: list[str]) -> None:
    found = outcome(folder, [*words, "hello.py"])
    assert not found.addresses
    assert found.code in (1, 2)


def test_a_server_of_events_listens_where_it_is_told_to(folder: Path) -> None:
    found = outcome(folder, ["serve", "--cloudevents", "--host", "0.0.0.0", "hello.py"])
    assert (found.code, found.addresses) == (0, {"0.0.0.0"})


def test_host_without_a_token_is_refused_before_a_port_is_opened(folder: Path) -> None:
    for host in ("0.0.0.0", "::", "0", "10.0.0.1", "192.168.1.1", "a.example", "127.0.0.1.example"):
        found = outcome(folder, ["serve", "--host", host, "hello.py"])
        assert (found.code, found.addresses) == (2, set())
        assert "give --token-file" in found.said
