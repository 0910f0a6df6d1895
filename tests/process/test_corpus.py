"""
Run actions as users write them for OpenWhisk, each on a server of its own.

They are called as the platform calls. The expected results are in `events.json` beside each, and
came from plain Python, or from the program itself without a server. `tests/support/corpus` builds
them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hotwhisk.cli.code import read_code
from hotwhisk.platform import Invoker, ProcessRuntime
from hotwhisk.platform.texts import LOGS_AFTER_ERROR
from tests.support.corpus import CORPUS, Case, FakeService, build, cases, export, python

STAMP = 31  # characters before the stream in a line of a record

# The first that needs it waits for what is installed and compiled once.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def service() -> Iterator[FakeService]:
    with FakeService().serving() as serving:
        yield serving


def log_of(record: dict[str, Any], stream: str) -> list[str]:
    lines = [line[STAMP:] for line in record["logs"]]
    return [line.partition(": ")[2] for line in lines if line.startswith(f"{stream}:")]


def check(record: dict[str, Any], wanted: dict[str, Any]) -> None:
    response = record["response"]
    assert response["status"] == wanted.get("status", "success"), record
    if "result" in wanted:
        assert response["result"] == wanted["result"]
    text = json.dumps(response["result"], separators=(",", ":"))
    assert text.startswith(wanted.get("result_begins", ""))
    assert len(text) == wanted.get("result_size", len(text))
    assert log_of(record, "stdout") == wanted.get("stdout", [])
    errors = log_of(record, "stderr")
    if response["statusCode"] == 2:
        assert errors.pop() == LOGS_AFTER_ERROR
    if "traceback_of" in wanted:
        begin = errors.index("Traceback (most recent call last):")
        assert wanted["traceback_of"] in errors[begin:]
        del errors[begin:]
    if "stderr_begins" in wanted:  # what follows holds addresses
        del errors[len(wanted["stderr_begins"]) :]
    assert errors == wanted.get("stderr_begins", wanted.get("stderr", []))


RUNS = [
    pytest.param(case.name, variables, id=f"{case.name}-{number}" if number else case.name)
    for case in cases()
    for number, variables in enumerate(case.runtimes)
]


@pytest.mark.parametrize(("name", "variables"), RUNS)
def test_an_action_runs_unedited(
    name: str, variables: dict[str, str], tmp_path: Path, service: FakeService
) -> None:
    case = next(each for each in cases(service.url) if each.name == name)
    action = case.action(read_code(str(build(case, tmp_path)))[0])
    run_dir = tmp_path / "run"
    run_dir.mkdir(mode=0o700)
    command = [str(python()), "-m", "hotwhisk", "serve", "--openwhisk", "--host", "127.0.0.1"]
    command += ["--port", "{port}", "--run-dir", str(run_dir)]
    with ProcessRuntime(command, env=variables) as runtime:
        for activation in case.activations:
            if activation.get("pause"):
                runtime.pause()
            check(Invoker().invoke(runtime, action, activation["event"]), activation)
            if runtime.started:  # up to the second sentinel all was taken; a third would be left
                assert runtime.logs is not None
                assert runtime.logs.drain() == []


def test_the_corpus_is_whole() -> None:
    folders = {path for path in CORPUS.iterdir() if path.is_dir() and path.name[0] not in "._"}
    assert folders == {case.folder for case in cases()}
    assert len(folders) >= 60


def test_the_corpus_can_be_handed_to_compare(tmp_path: Path) -> None:
    exported = export(tmp_path, "http://127.0.0.1:9")
    known = {case.name: case for case in cases("http://127.0.0.1:9")}
    found = []
    for each in exported:
        document = json.loads(each.file.read_text(encoding="utf-8"))
        assert set(document) == {path.stem for path in each.events}
        for path in each.events:
            case: Case = known[path.stem]
            assert (case.main, sorted(case.needs)) == (each.main, list(each.needs))
            assert document[case.name] == [one["event"] for one in case.activations]
            assert read_code(str(path))[0]
            found.append((case.name, each.variables))
    wanted = [(case.name, variables) for case in known.values() for variables in case.runtimes]
    assert sorted(found, key=str) == sorted(wanted, key=str)
