"""Handlers that are called in the test's own process, as the fixture ``call_handler`` does it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hotwhisk import Context
from hotwhisk.errors import BadResult, BuildFailed, LoadFailed, RequestError, UsageError
from hotwhisk.testing import CallHandler

ASYNCHRONOUS = """\
import asyncio
import os

from hotwhisk import on_startup

loops = []

@on_startup
async def begin():
    loops.append(asyncio.get_running_loop())

async def main(event, context):
    import beside_it

    loops.append(asyncio.get_running_loop())
    return {
        "same loop": len(set(loops)) == 1, "calls": len(loops), "beside": beside_it.number,
        "folder": os.getcwd(), "id": context.activation_id, "file": __file__,
    }
"""


@pytest.fixture
def call(tmp_path: Path) -> Iterator[CallHandler]:
    (tmp_path / "asynchronous.py").write_text(ASYNCHRONOUS)
    (tmp_path / "beside_it.py").write_text("number = 3\n")
    with CallHandler(tmp_path) as call_handler:
        yield call_handler


def plain(event: dict[str, object]) -> dict[str, object]:
    return {"event": event}


def with_context(event: dict[str, object], context: Context) -> dict[str, object]:
    return {
        "id": context.activation_id, "variable": os.environ["__OW_ACTIVATION_ID"],
        "name": context.action_name, "key": context.api_key, "namespace": context.namespace,
        "left": context.get_remaining_time_in_millis(), "deadline": context.deadline,
    }  # fmt: skip


async def waiting(event: dict[str, object]) -> dict[str, object]:
    await asyncio.sleep(0)
    return {"event": event}


def test_a_function_gets_the_event(call: CallHandler) -> None:
    assert call(plain, {"name": "Mike"}) == {"event": {"name": "Mike"}}
    assert call(plain) == {"event": {}}
    assert call(plain, [1]) == {"event": [1]}
    assert call(waiting, {"a": 1}) == {"event": {"a": 1}}
    assert call(lambda event: waiting({**event, "b": 2})) == {"event": {"b": 2}}


def test_the_result_is_what_the_caller_gets(call: CallHandler) -> None:
    assert call(lambda event: {"pair": (1, 2), 3: None}) == {"pair": [1, 2], "3": None}
    with pytest.raises(BadResult, match="the handler returned None"):
        call(lambda event: None)
    with pytest.raises(BadResult, match="set is not JSON serializable"):
        call(lambda event: {"set": {1}})


def test_an_exception_of_the_handler_reaches_the_test(call: CallHandler) -> None:
    def failing(event: object) -> None:
        raise KeyError("name")

    async def failing_later(event: object) -> None:
        raise KeyError("name")

    for handler in (failing, failing_later):
        with pytest.raises(KeyError, match="name"):
            call(handler)


def test_the_context_is_that_of_the_platform(call: CallHandler) -> None:
    sent = call(with_context, timeout=5.0)
    assert re.fullmatch("[0-9a-f]{32}", sent["id"])
    assert sent["variable"] == sent["id"]
    assert (sent["name"], sent["namespace"], sent["key"]) == ("/guest/with_context", "guest", None)
    assert 4000 < sent["left"] <= 5000


def test_the_context_can_be_given(call: CallHandler) -> None:
    given = call(with_context, activation_id="a1", api_key="k", deadline=0)
    assert (given["id"], given["variable"], given["key"]) == ("a1", "a1", "k")
    assert (given["left"], given["deadline"]) == (0, 0)
    assert call(with_context, deadline=None)["deadline"] is None
    with pytest.raises(UsageError, match=r"no activaton_id; it has .*activation_id"):
        call(with_context, activaton_id="a1")


def test_what_no_run_could_bring_is_refused(call: CallHandler) -> None:
    with pytest.raises(RequestError, match="must be an object or an array, not a string"):
        call(plain, "Mike")
    with pytest.raises(TypeError, match="set is not JSON serializable"):
        call(plain, {"set": {1}})


def test_an_answer_in_parts_is_a_list(call: CallHandler) -> None:
    assert call(generating, {"n": 2}) == [{"n": 0}, {"n": 1}]
    assert call(generating_async, {"n": 2}) == ["0", "1"]
    with pytest.raises(BadResult, match="a part that JSON does not have"):
        call(lambda _: iter_of({1}))
    with pytest.raises(ZeroDivisionError):
        call(lambda _: (1 // n for n in (1, 0)))


def iter_of(part: object) -> Iterator[object]:
    yield part


def generating(event: dict[str, int]) -> Iterator[object]:
    for n in range(event["n"]):
        yield {"n": n}


async def generating_async(event: dict[str, int]) -> AsyncIterator[object]:
    for n in range(event["n"]):
        yield str(n).encode()


def test_a_file_is_loaded_once_and_runs_in_its_folder(call: CallHandler, tmp_path: Path) -> None:
    first = call("asynchronous.py", {}, activation_id="a1")
    assert first == {
        "same loop": True, "calls": 2, "beside": 3, "folder": str(tmp_path), "id": "a1",
        "file": f"{tmp_path}/asynchronous.py",
    }  # fmt: skip
    assert call("asynchronous.py")["calls"] == 3


def test_a_folder_and_another_handler_are_called(call: CallHandler, tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text(
        "def main(event): return {}\ndef other(event): return {'other': 1}\n"
    )
    assert call(tmp_path, main="other") == call("__main__.py", main="other") == {"other": 1}
    with pytest.raises(LoadFailed, match="has no function 'nothing'; it has main, other"):
        call(".", main="nothing")


def test_a_file_that_calls_start_is_called(call: CallHandler, tmp_path: Path) -> None:
    source = "from hotwhisk import start\ndef hello(event): return {'hello': 1}\nstart(hello)\n"
    (tmp_path / "started.py").write_text(source)
    assert call("started.py") == {"hello": 1}


def test_a_file_that_does_not_load_says_why(
    call: CallHandler, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.py").write_text("number = 1 / 0\n")
    with pytest.raises(LoadFailed, match="raised ZeroDivisionError while it was loaded"):
        call("broken.py")
    assert f'File "{tmp_path}/broken.py", line 1' in capsys.readouterr().err
    (tmp_path / "no_python.py").write_text("def main(:\n")
    with pytest.raises(BuildFailed, match=r"no_python.py does not compile"):
        call("no_python.py")
    with pytest.raises(UsageError, match=r"did you mean .*/broken.py"):
        call("brokn.py")


def test_a_library_that_is_not_installed_is_told_with_the_command(
    call: CallHandler, tmp_path: Path
) -> None:
    (tmp_path / "needy.py").write_text("import no_such_library\n")
    with pytest.raises(LoadFailed, match=r"No module named 'no_such_library'$"):
        call("needy.py")
    (tmp_path / "requirements.txt").write_text("no-such-library\n")
    with pytest.raises(LoadFailed, match=r"python -m pip install -r .*/requirements.txt"):
        call("needy.py")


def test_an_asynchronous_test_is_told_to_await_the_handler(call: CallHandler) -> None:
    async def test() -> None:
        with pytest.raises(UsageError, match="cannot do so in an asynchronous test"):
            call(waiting)

    asyncio.run(test())


def state() -> list[object]:
    return [os.getcwd(), dict(os.environ), list(sys.path), list(sys.argv), set(sys.modules)]


def test_the_process_is_as_before_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "acting.py").write_text(
        "import os\nimport json\nimport beside_it\n"
        "def main(event):\n    os.environ['CHANGED'] = 'yes'\n    return {}\n"
    )
    (tmp_path / "beside_it.py").write_text("")
    (tmp_path / "json.py").write_text("")
    ours, own_main, before = sys.modules["json"], sys.modules["__main__"], state()
    for _ in range(2):
        with CallHandler(tmp_path) as call:
            call("acting.py")
            assert sys.modules["beside_it"].__file__ == f"{tmp_path}/beside_it.py"
            assert sys.modules["json"].__file__ == f"{tmp_path}/json.py"
        assert state() == before
        assert sys.modules["json"] is ours
        assert sys.modules["__main__"] is own_main


def test_what_a_test_has_imported_from_the_folder_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_helper.py").write_text("")
    (tmp_path / "acting.py").write_text("def main(event): return {}\n")
    monkeypatch.syspath_prepend(tmp_path)
    helper = __import__("own_helper")
    with CallHandler(tmp_path) as call:
        call("acting.py")
        assert sys.modules["own_helper"] is helper
    assert sys.modules.pop("own_helper") is helper


def test_a_library_that_a_handler_imports_stays_imported(call: CallHandler) -> None:
    def importing(event: object) -> dict[str, object]:
        import colorsys

        return {"name": colorsys.__name__}

    sys.modules.pop("colorsys", None)
    with CallHandler(Path()) as inner:
        inner(importing)
    assert "colorsys" in sys.modules


def test_a_library_in_an_environment_below_the_folder_stays_imported(tmp_path: Path) -> None:
    packages = tmp_path / ".venv" / "lib" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "own_library.py").write_text("")
    (tmp_path / "acting.py").write_text(
        f"import sys\nsys.path.append({str(packages)!r})\nimport own_library\n"
        "def main(event): return {}\n"
    )
    with CallHandler(tmp_path) as call:
        call("acting.py")
        library = sys.modules["own_library"]
    assert sys.modules.pop("own_library") is library


def test_any_callable_is_a_handler(call: CallHandler) -> None:
    assert call(dict, {"a": 1}) == {"a": 1}

    def without_event() -> dict[str, object]:
        return {}

    with pytest.raises(TypeError, match="takes 0 positional arguments"):
        call(without_event)
