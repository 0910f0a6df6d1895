"""``hotwhisk compare``, and the model of the invoker, with real containers of the image."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotwhisk.platform import SENTINEL, Action, ContainerRuntime, Invoker, Limits

from .container import SLIM, derived

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

COMMAND = f"{sys.executable} -m hotwhisk serve --openwhisk --host 127.0.0.1 --port {{port}}"
HELLO = """\
import sys

def main(args):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    if "leave" in args:
        sys.exit(3)
    return "a text" if "text" in args else {"got": args, "unicode": "❄"}
"""
WHERE = "import os\ndef main(args): return {'where': os.environ.get('WHERE')}\n"
EVENTS: list[dict[str, object]] = [{}, {"leave": 1}, {"n": [1, 2.5]}, {"text": 1}, {}]
GREEDY = """\
def main(args):
    kept = []
    while args.get("all"):
        kept.append(bytearray(b"x" * (8 << 20)))
    return {"ok": True}
"""


@pytest.fixture(scope="module")
def image() -> str:
    """
    Return an image with a name and a digest of its own: other tests run containers at the same
    time.
    """
    return derived(SLIM, "compare", "LABEL of=test_compare")


def containers(image: str) -> set[str]:
    listed = ["docker", "ps", "--all", "--quiet", "--filter", f"ancestor={image}"]
    done = subprocess.run(listed, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.fixture(autouse=True)
def no_container_is_left(image: str) -> Iterator[None]:
    before = containers(image)
    yield
    assert containers(image) <= before


def compare(old: str, new: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hotwhisk", "compare", "--old", old, "--new", new]
    return subprocess.run(
        [*command, *map(str, words)], capture_output=True, text=True, timeout=240, check=False
    )


@pytest.fixture
def hello(tmp_path: Path) -> tuple[str | Path, ...]:
    (tmp_path / "hello.py").write_text(HELLO, encoding="utf-8")
    (tmp_path / "no_such_import.py").write_text("import no_such_module\n", encoding="utf-8")
    (tmp_path / "events.json").write_text(json.dumps(EVENTS), encoding="utf-8")
    return "--events", tmp_path / "events.json", tmp_path / "hello.py"


def test_an_image_does_as_it_does(image: str, hello: tuple[str | Path, ...]) -> None:
    broken = Path(hello[-1]).with_name("no_such_import.py")
    done = compare(image, image, *hello, broken)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 actions, 10 events: none differs" in done.stdout


def test_an_image_does_as_the_command_does(image: str, hello: tuple[str | Path, ...]) -> None:
    done = compare(image, COMMAND, *hello)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 action, 5 events: none differs" in done.stdout


def test_what_differs_is_told(image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "here")  # the command inherits it, the container does not
    (tmp_path / "where.py").write_text(WHERE, encoding="utf-8")
    done = compare(image, COMMAND, tmp_path / "where.py")
    assert done.returncode == 1, done.stdout + done.stderr
    assert 'where: 1 difference\n  event 1: result.where\n    - null\n    + "here"' in done.stdout


def test_an_image_that_does_not_exist_is_no_difference(image: str, tmp_path: Path) -> None:
    (tmp_path / "where.py").write_text(WHERE, encoding="utf-8")
    done = compare(image, "localhost:1/no/such:image", tmp_path / "where.py")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "--new localhost:1/no/such:image: docker run failed" in done.stderr


def test_an_activation_has_its_own_log_and_the_container_goes_on(image: str) -> None:
    with ContainerRuntime(image) as runtime:
        invoker, action = Invoker(), Action("hello", HELLO)
        first = invoker.invoke(runtime, action, {"n": 1})
        identity = runtime.identity
        runtime.pause()
        second = invoker.invoke(runtime, action, {"n": 2})
        assert runtime.identity == identity
        records = [first, second]
        assert [record["response"]["result"]["got"] for record in records] == [{"n": 1}, {"n": 2}]  # type: ignore[index]
        for record in records:
            lines = sorted(str(line).partition(" ")[2] for line in record["logs"])  # type: ignore[attr-defined]
            assert [line.strip() for line in lines] == ["stderr: to stderr", "stdout: to stdout"]
        assert SENTINEL not in json.dumps(records)


def test_memory_that_runs_out_has_the_platforms_text(image: str) -> None:
    with ContainerRuntime(image, memory=128) as runtime:
        action = Action("greedy", GREEDY, limits=Limits(memory=128))
        record = Invoker().invoke(runtime, action, {"all": True})
        assert record["response"]["result"] == {  # type: ignore[index]
            "error": "The action exhausted its memory and was aborted."
        }
        assert Invoker().invoke(runtime, action)["response"]["result"] == {"ok": True}  # type: ignore[index]
