"""
Let the kernel refuse features: `hotwhisk doctor` reports it, and so does the server, or works
without.

The refusals are real, by a filter of system calls, a limit, a mount: see `tests.support.seccomp`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hotwhisk.system import control_group, features
from tests.prove.outcome import Proof
from tests.prove.registry import BY_NAME
from tests.support.client import Connection, run_once
from tests.support.rendezvous import Rendezvous
from tests.support.server import HOTWHISK, ROOT, NotReady, Server

from . import actions, control

pytestmark = pytest.mark.slow

FILTER = (sys.executable, str(ROOT / "tests" / "support" / "seccomp.py"))
DOCTOR = (sys.executable, "-m", "hotwhisk", "doctor")


class Filtered(Server):
    """A server that may not make certain system calls, like every process that it starts."""

    def __init__(self, names: str, *arguments: str, nofile: int = 0) -> None:
        command = (*FILTER, "deny", "EPERM", names, *HOTWHISK, *arguments)
        super().__init__(command=command, nofile=nofile)

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"HOTWHISK_RUN_DIR": str(self.run_dir)}


def doctor(folder: Path, *before: str) -> tuple[int, dict[str, Any]]:
    """Run doctor; return its exit code, and its findings by name."""
    done = subprocess.run(
        [*before, *DOCTOR, "--json", "--run-dir", str(folder)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    assert answer["version"] == 1
    assert answer["ok"] is (done.returncode == 0)
    return done.returncode, {check["name"]: check for check in answer["checks"]}


def test_a_healthy_system(tmp_path: Path) -> None:
    code, checks = doctor(tmp_path)
    assert code == 0
    assert not any(tmp_path.iterdir())
    for feature in (*features.REQUIRED, *features.OPTIONAL):
        assert checks[feature.name]["verdict"] == "ok", checks[feature.name]
    assert checks["kernel"]["found"].startswith(os.uname().release)


def test_a_line_for_each_and_a_last_word(tmp_path: Path) -> None:
    command = [*FILTER, "deny", "EPERM", "membarrier", *DOCTOR, "--run-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0
    (line,) = (line for line in done.stdout.splitlines() if "membarrier" in line)
    assert line.startswith("warns  membarrier ")
    assert "Operation not permitted · connections of a worker that hangs wait" in line
    assert "do: a newer kernel, or a seccomp profile that permits membarrier" in line
    assert done.stdout.splitlines()[-1].startswith("hotwhisk can serve here; ")


REQUIRED = {
    "pidfd_open": "pidfd",
    "waitid": "pidfd",
    "pidfd_send_signal": "pidfd",
    "memfd_create": "memfd",
    "socketpair": "descriptor passing",
    "epoll_create1": "epoll",
}


REFUSALS = [
    (call, refused)
    for call in REQUIRED
    for refused in (("deny", "EPERM"), ("deny", "ENOSYS"), ("kill",))
    if (call, refused) != ("epoll_create1", ("kill",))  # ends Python where it imports selectors
]


@pytest.mark.parametrize(("call", "refused"), REFUSALS)
def test_what_is_needed_and_missing_is_told(
    tmp_path: Path, call: str, refused: tuple[str, ...]
) -> None:
    code, checks = doctor(tmp_path, *FILTER, *refused, call)
    assert code == 1
    check = checks[REQUIRED[call]]
    assert check["verdict"] == "fails"
    assert check["cost"]
    assert call.rstrip("1") in check["remedy"]
    if refused == ("kill",):
        assert check["found"] == "a process that makes the call is ended by SIGSYS"


@pytest.mark.parametrize("call", REQUIRED)
def test_the_server_refuses_to_start_without_it(call: str) -> None:
    with pytest.raises(NotReady) as caught, Filtered(call):
        pass
    text = str(caught.value)
    assert f"this system has no {REQUIRED[call]} (Operation not permitted)" in text
    assert "hotwhisk doctor checks the rest" in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("call", "name"),
    [("membarrier", "membarrier"), ("prctl", "child subreaper"), ("prctl", "death signal")],
)
def test_what_is_useful_and_missing_is_a_warning(tmp_path: Path, call: str, name: str) -> None:
    for refused in (("deny", "EPERM"), ("kill",)):
        code, checks = doctor(tmp_path, *FILTER, *refused, call)
        assert (code, checks[name]["verdict"]) == (0, "warns")
        assert call in checks[name]["remedy"]


@pytest.mark.parametrize(("files", "verdict"), [(20, "fails"), (300, "warns"), (1024, "ok")])
def test_the_limit_of_open_files(tmp_path: Path, files: int, verdict: str) -> None:
    _, checks = doctor(tmp_path, "sh", "-c", f'ulimit -n {files}; exec "$@"', "sh")
    assert checks["open files"]["verdict"] == verdict
    assert checks["open files"]["found"].startswith(f"limit {files}, hard limit {files}: ")


def test_no_limit_of_processes_is_no_number(tmp_path: Path) -> None:
    _, checks = doctor(tmp_path)
    assert str(resource.RLIM_INFINITY) not in checks["processes"]["found"]


def test_a_run_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, checks = doctor(tmp_path / "file" / "run")
    assert (code, checks["run folder"]["verdict"]) == (1, "fails")
    assert "Not a directory" in checks["run folder"]["found"]
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    code, checks = doctor(open_to_all)
    assert (code, checks["run folder"]["verdict"]) == (1, "fails")
    assert "can be written by others" in checks["run folder"]["found"]
    code, checks = doctor(tmp_path / ("x" * 100))
    assert "too long for the path of a socket" in checks["run folder"]["found"]


def test_a_run_folder_that_runs_nothing(tmp_path: Path) -> None:
    own = ("unshare", "--mount", *(() if os.getuid() == 0 else ("--user", "--map-root-user")))
    mount = 'mount -t tmpfs -o noexec,mode=700 tmpfs "$1" && shift && exec "$@"'
    code, checks = doctor(tmp_path, *own, "sh", "-c", mount, "sh", str(tmp_path))
    check = checks["code in the run folder"]
    assert (code, check["verdict"]) == (0, "warns")
    assert ":exec" in check["remedy"]


def test_a_filter_is_seen(tmp_path: Path) -> None:
    _, checks = doctor(tmp_path, *FILTER, "deny", "EPERM", "membarrier")
    assert checks["sandbox"]["found"] == "seccomp: a filter, no_new_privs: 1"


# -- without membarrier ------------------------------------------------------------------------

WITHOUT_BARRIER = (
    "replacement",
    "replacement-workers",
    "moved",
    "moved-thousand",
    "death",
    "half-sent",
    "faults",
    "bad-versions",
    "crash-loop",
    "poison",
)


@pytest.mark.parametrize("proof", [BY_NAME[name] for name in WITHOUT_BARRIER], ids=WITHOUT_BARRIER)
def test_the_promises_hold_without_membarrier(proof: Proof) -> None:
    with Filtered("membarrier", *proof.serve, nofile=proof.nofile) as server:
        (weakness,) = control.status(server)["weaknesses"]
        assert weakness.startswith("no membarrier: ")
        outcome = proof.function(server, **proof.short)
        assert outcome.holds, "\n".join([outcome.done, outcome.result, *outcome.problems])


def test_the_cost_of_no_membarrier_is_as_told() -> None:
    """A request that waits for a hung worker waits until that answers, and is answered then."""
    with Filtered("membarrier") as server, Rendezvous() as meet:
        server.post(actions.plain(1))
        with Connection(server.address) as waiting, Connection(server.address) as running:
            for connection in (waiting, running):
                assert connection.run({}).value("version") == 1
            running.send_run({"hold": meet.path})
            held = meet.wait_arrival()
            waiting.send_run({"token": 7})
            held.release()
            assert running.read_response().value("version") == 1
            assert waiting.read_response().value("token") == 7
        assert run_once(server.address, {}).value("version") == 1


# -- control groups ----------------------------------------------------------------------------


def test_deaths_for_memory_are_counted_somewhere() -> None:
    """On a machine without either version of the file, the doctor would report it."""
    path = control_group.find("deaths")
    assert path.endswith(("memory.events", "memory.oom_control"))
    assert "oom_kill" in Path(path).read_text()
    assert control_group.oom_kills(path) >= 0


@pytest.mark.parametrize("text", ["low 0\noom 3\noom_kill 2\n", "under_oom 0\noom_kill 2\n"])
def test_both_forms_of_the_count_are_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "count").write_text(text)
    assert control_group.oom_kills(str(tmp_path / "count")) == 2
    assert control_group.oom_kills(str(tmp_path / "absent")) == 0
