"""Actions on servers of their own, as the fixture ``serve_action`` gives them to a test."""

from __future__ import annotations

import json
import os
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

from hotwhisk.errors import StartError, UsageError, VersionError
from hotwhisk.testing import Activation, ServeAction
from hotwhisk.testing import serve_action as serving
from tests.support.waiting import wait_gone

pytestmark = pytest.mark.slow

ECHO = """\
import os

def main(event):
    print("out")
    os.write(2, b"err\\n")
    return {"event": event, "greeting": os.environ.get("GREETING"), "pids": [os.getpid(), os.getppid()]}

def other(event):
    return {"other": 1}
"""
BROKEN = "import os\n\nnumber = os.no_such_name\n\ndef main(event):\n    return {}\n"
FAILING = "def main(event):\n    raise ValueError('no name')\n"


@pytest.fixture
def reported() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def serve(tmp_path: Path, reported: list[tuple[str, str]]) -> Iterator[ServeAction]:
    (tmp_path / "echo.py").write_text(ECHO)
    (tmp_path / "broken.py").write_text(BROKEN)
    (tmp_path / "failing.py").write_text(FAILING)
    run_folder = tmp_path / "run"
    run_folder.mkdir(mode=0o700)
    with ServeAction(
        tmp_path, str(run_folder), lambda *said: reported.append(said)
    ) as serve_action:
        yield serve_action


def value(activation: Activation, key: str) -> object:
    assert activation.status == "success"
    assert isinstance(activation.result, dict)
    return activation.result[key]


def test_an_activation_has_its_result_status_and_log(
    serve: ServeAction, reported: list[tuple[str, str]]
) -> None:
    activation = serve("echo.py").invoke({"first-name": "Ada"}, name="Mike")
    assert value(activation, "event") == {"first-name": "Ada", "name": "Mike"}
    assert activation.error is None
    assert sorted(activation.logs) == ["err", "out"]
    assert activation.record["name"] == "echo"
    assert repr(activation).startswith("<Activation: success, {'event':")
    assert [title for title, _ in reported] == ["log of echo"]


def test_main_parameters_and_env_are_those_of_the_action(serve: ServeAction) -> None:
    action = serve("echo.py", parameters={"a": 1, "b": 1}, env={"GREETING": "Ciao"})
    activation = action.invoke(b=2)
    assert value(activation, "event") == {"a": 1, "b": 2}
    assert value(activation, "greeting") == "Ciao"
    assert serve("echo.py", main="other").invoke().result == {"other": 1}


def test_an_error_of_the_handler_is_the_platforms_and_its_log_has_the_tests_paths(
    serve: ServeAction, reported: list[tuple[str, str]], tmp_path: Path
) -> None:
    activation = serve("failing.py").invoke()
    assert (activation.status, activation.error) == ("application error", "no name")
    assert activation.result == {"error": "no name"}
    assert f'File "{tmp_path}/failing.py", line 2, in main' in reported[0][1]


def test_a_list_is_a_whole_event(serve: ServeAction) -> None:
    action = serve("echo.py")
    assert value(action.invoke([1, 2]), "event") == [1, 2]
    with pytest.raises(UsageError, match="a list is a whole event"):
        action.invoke([1, 2], name="Mike")


def test_a_replacement_is_made_on_the_running_server(serve: ServeAction, tmp_path: Path) -> None:
    action = serve("echo.py")
    url = action.url
    pids = value(action.invoke(), "pids")
    (tmp_path / "echo.py").write_text(ECHO.replace('"out"', '"new"'))
    action.replace("echo.py")
    activation = action.invoke()
    assert "new" in activation.logs
    assert action.url == url
    worker, server = value(activation, "pids"), pids
    assert isinstance(worker, list)
    assert isinstance(server, list)
    assert worker[0] != server[0]
    assert worker[1] == server[1]


def test_a_version_that_does_not_load_is_told_with_its_traceback(
    serve: ServeAction, tmp_path: Path
) -> None:
    with pytest.raises(VersionError) as raised:
        serve("broken.py")
    text = str(raised.value)
    assert text.startswith("broken.py does not load\nTraceback")
    assert f'File "{tmp_path}/broken.py", line 3' in text
    assert "has no attribute 'no_such_name'" in text
    assert "Log data might be missing" not in text


def test_a_refused_replacement_leaves_the_current_version(serve: ServeAction) -> None:
    action = serve("echo.py")
    with pytest.raises(VersionError, match="no_such_name"):
        action.replace("broken.py")
    assert value(action.invoke(), "event") == {}
    with pytest.raises(VersionError, match=r"has no function 'nothing'"):
        action.replace("echo.py", main="nothing")


def test_a_folder_and_a_zip_are_served(serve: ServeAction, tmp_path: Path) -> None:
    folder = tmp_path / "greeter"
    folder.mkdir()
    (folder / "__main__.py").write_text("from words import word\ndef main(event): return word\n")
    (folder / "words.py").write_text("word = {'word': 'Ciao'}\n")
    action = serve("greeter")
    assert action.invoke().result == {"word": "Ciao"}
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.writestr("__main__.py", "def main(event): return {'zip': 1}")
    action.replace(tmp_path / "packed.zip")
    assert action.invoke().result == {"zip": 1}
    (folder / "words.py").write_text("word = 1 / 0\n")
    with pytest.raises(VersionError, match=f'File "{folder}/words.py", line 1'):
        action.replace("greeter")


def test_a_name_that_does_not_exist_is_told_with_the_one_that_does(serve: ServeAction) -> None:
    with pytest.raises(UsageError, match=r"there is no .*/ehco.py; did you mean .*/echo.py"):
        serve("ehco.py")


def test_a_call_that_takes_too_long_ends_as_on_the_platform(
    serve: ServeAction, tmp_path: Path
) -> None:
    (tmp_path / "long.py").write_text(
        "import time\ndef main(event):\n    time.sleep(event.get('s', 0))\n    return {}\n"
    )
    action = serve("long.py", timeout=0.4)
    activation = action.invoke(s=30)
    assert activation.status == "action developer error"
    assert activation.error == "The action exceeded its time limits of 400 milliseconds."
    assert action.invoke().status == "success"


def test_each_action_has_its_own_server_which_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "echo.py").write_text(ECHO)
    (tmp_path / "run").mkdir(mode=0o700)
    with ServeAction(tmp_path, str(tmp_path / "run"), lambda *_: None) as serve:
        pids = [value(serve("echo.py").invoke(), "pids") for _ in range(2)]
    assert len({pid for each in pids if isinstance(each, list) for pid in each}) == 4
    assert all(wait_gone(pid, 10.0) for each in pids if isinstance(each, list) for pid in each)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["token"]


def test_the_server_can_be_called_by_other_clients(serve: ServeAction) -> None:
    action, body = serve("echo.py"), json.dumps({"value": {"a": 1}}).encode()
    headers = {"Authorization": f"Bearer {action.token}"}
    asked = urllib.request.Request(f"{action.url}/run", body, headers)
    with urllib.request.urlopen(asked, timeout=10.0) as answer:
        assert json.load(answer)["event"] == {"a": 1}
    asked.remove_header("Authorization")
    with pytest.raises(HTTPError, match="401") as refused:
        urllib.request.urlopen(asked, timeout=10.0)
    refused.value.close()


def test_settings_for_other_servers_do_not_matter(
    serve: ServeAction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOTWHISK_TOKEN_FILE", "/no/such/file")
    assert serve("echo.py").invoke().status == "success"


def test_a_server_that_does_not_start_says_why(serve: ServeAction, tmp_path: Path) -> None:
    os.chmod(tmp_path / "run", 0o777)
    with pytest.raises(StartError, match=r"the server for echo.py has ended\n.*/run"):
        serve("echo.py")


def test_a_server_that_does_not_stop_is_killed(
    serve: ServeAction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "STOP_SECONDS", 0.0)
    pids = value(serve("echo.py").invoke(), "pids")
    serve.__exit__()
    assert isinstance(pids, list)
    assert all(wait_gone(pid, 10.0) for pid in pids)
