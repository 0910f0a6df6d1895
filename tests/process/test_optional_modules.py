"""What only an option needs is imported with that option only, and once for all processes."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.actions import version_source
from tests.support.client import run_once
from tests.support.server import Server

pytestmark = pytest.mark.slow

NEEDED_FOR = {
    ("--admin", "127.0.0.1:0"): {
        "server.admin", "server.openmetrics", "server.request_metrics", "server.server_metrics",
    },
    ("--cloudevents",): {
        "cloudevents.cloud_event", "cloudevents.event_data", "cloudevents.event_reader",
        "cloudevents.event_reply", "cloudevents.header_values", "worker.event_requests",
        "worker.event_sink", "worker.framework_function", "worker.response_run", "worker.wsgi",
    },
    ("--fresh",): {"supervisor.single_run", "worker.only_run", "worker.rehearsal"},
    ("--log-format", "json"): {
        "ipc.run_marks", "server.stdout", "supervisor.action_output", "supervisor.json_lines",
        "supervisor.worker_pipes", "system.line_writer", "worker.run_marker",
    },
    ("--preload", "this"): {"server.preload"},
    ("--state", "state"): {
        "server.history_writer", "server.state_folder", "supervisor.first_version",
        "supervisor.history_text",
    },
    ("--token-file", "token"): {"server.token_rotation", "access.token_files"},
}  # fmt: skip
"""The modules that a server may import with an option only."""

PROGRAM = {"actionloop.bridge", "actionloop.child"}
"""What only a program in another language needs; the worker that starts it imports it."""

MISTAKE = {"config.suggestions"}
"""What only the text about a mistake needs."""

IMPORTED = re.compile(r"^import time:.*\| +hotwhisk\.([\w.]+)$", re.MULTILINE)
"""A line that Python prints for each import, in each process."""


def imported(folder: Path, *options: str) -> Counter[str]:
    """Serve an action; return how many processes imported each module."""
    (folder / "hello.py").write_text(version_source(1))
    (folder / "token").write_text("secret")
    (folder / "run").mkdir(0o700)
    paths = [str(folder / each) if each in ("state", "token") else each for each in options]
    command = (sys.executable, "-X", "importtime", "-m", "hotwhisk", "serve")
    arguments = [*paths, "--run-dir", str(folder / "run"), str(folder / "hello.py")]
    with Server(*arguments, command=command, ready_timeout=30.0) as server:
        run_once(server.address, {})
        server.end_well()
        return Counter(IMPORTED.findall(server.stderr()))


def test_a_server_without_options_imports_none_of_it(tmp_path: Path) -> None:
    found = imported(tmp_path)
    assert found["worker.worker"] == 1
    optional = set().union(*NEEDED_FOR.values(), PROGRAM, MISTAKE)
    assert optional & found.keys() == set()


@pytest.mark.parametrize("option", NEEDED_FOR, ids=lambda option: option[0])
def test_an_option_imports_its_own_before_any_worker_is_forked(
    tmp_path: Path, option: tuple[str, ...]
) -> None:
    found = imported(tmp_path, *option)
    others = set().union(*(names for each, names in NEEDED_FOR.items() if each != option))
    assert NEEDED_FOR[option] <= found.keys()
    assert (others - NEEDED_FOR[option]) & found.keys() == set()
    assert {name for name, count in found.items() if count > 1} == set()
