"""
Child processes of an action can pickle and import what it defines.

This holds however the action was posted and however the child is started.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.archives import zip_of
from tests.support.client import init_once
from tests.support.server import Server

pytestmark = pytest.mark.slow

ACTION = """\
import concurrent.futures, multiprocessing, os, subprocess, sys
import beside

class Item:
    def __init__(self, number):
        self.number = number

def double(item):
    return Item(beside.TWO * item.number)

def whereabouts(_):
    return [__name__, os.path.basename(__file__), sorted(os.listdir(os.path.dirname(__file__)))]

ASK = "import main__; print(main__.double(main__.Item(4)).number)"

def in_subprocess(event):
    done = subprocess.run(
        [sys.executable, *event.get("flags", []), "-c", ASK], capture_output=True, text=True,
        cwd=event.get("cwd"),
    )
    return {"number": int(done.stdout) if done.stdout.strip() else done.stderr}

def main(event):
    how, kind = event["how"], event.get("kind")
    if how == "subprocess":
        return in_subprocess(event)
    if how == "loky":
        from joblib.externals import loky
        with loky.ProcessPoolExecutor(1) as pool:
            return {"number": pool.submit(double, Item(4)).result().number}
    if how == "joblib":
        from joblib import Parallel, delayed
        return {"number": Parallel(2)(delayed(double)(Item(n)) for n in (1, 4))[1].number}
    context = multiprocessing.get_context(how)
    if kind == "Process":
        queue = context.SimpleQueue()
        process = context.Process(target=put, args=(queue, Item(4)))
        process.start()
        got = queue.get().number
        process.join()
        return {"number": got, "status": process.exitcode}
    if kind == "Pool":
        with context.Pool(1) as pool:
            return {"number": pool.map(double, [Item(4)])[0].number}
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        seen = pool.submit(whereabouts, None).result()
        return {"number": pool.submit(double, Item(4)).result().number, "seen": seen}

def put(queue, item):
    queue.put(double(item))
"""
BESIDE = {"beside.py": "TWO = 2\n"}
ALONE = ACTION.replace("import beside\n", "").replace("beside.TWO", "2")
START = "\nfrom hotwhisk import start\nif __name__ == '__main__':\n    start(main)\n"
BY_START = ACTION.replace("def main(", "def handle(") + START.replace(
    "start(main)", "start(handle)"
)
UNGUARDED = (
    ACTION.replace("def main(", "def handle(") + "\nimport hotwhisk\nhotwhisk.start(handle)\n"
)
STARTS: list[dict[str, object]] = [
    {"how": "fork"},
    {"how": "spawn"},
    {"how": "forkserver"},
    {"how": "spawn", "kind": "Pool"},
    {"how": "spawn", "kind": "Process"},
    {"how": "forkserver", "kind": "Process"},
    {"how": "loky"},
    {"how": "joblib"},
    {"how": "subprocess"},
]


def built(folder: Path, source: str, *flags: str) -> Path:
    """Build an artifact of a folder whose entry is this source."""
    work = folder / "to-build"
    work.mkdir()
    for name, text in {**BESIDE, "__main__.py": source}.items():
        (work / name).write_text(text)
    output = folder / "artifact"
    command = [sys.executable, "-m", "hotwhisk", "build", str(work), "-o", str(output), *flags]
    subprocess.run(command, check=True, capture_output=True)
    return output


def written(folder: Path, name: str, source: str) -> Path:
    """Make a user's folder with an action in it."""
    for each, text in {**BESIDE, name: source}.items():
        (folder / each).parent.mkdir(exist_ok=True)
        (folder / each).write_text(text)
    return folder / name


@contextmanager
def posted(content: str | bytes) -> Iterator[Server]:
    with Server() as server:
        server.post(content)
        yield server


def served(*arguments: str, **options: Any) -> Callable[[], Server]:
    return lambda: Server(*arguments, **options)


WAYS: dict[str, Callable[[Path], Any]] = {
    "source": lambda _: posted(ALONE),
    "source of start": lambda _: posted(
        ALONE.replace("def main(", "def handle(") + START.replace("(main)", "(handle)")
    ),
    "zip": lambda _: posted(zip_of({**BESIDE, "__main__.py": ACTION})),
    "zip of start": lambda _: posted(zip_of({**BESIDE, "__main__.py": BY_START})),
    "file": lambda folder: Server(str(written(folder, "hello.py", ACTION))),
    "file of start": lambda folder: Server(str(written(folder, "hello.py", BY_START))),
    "file of start without a guard": lambda folder: Server(
        str(written(folder, "hello.py", UNGUARDED))
    ),
    "file without an ending": lambda folder: Server(str(written(folder, "hello", ACTION))),
    "folder": lambda folder: Server(str(written(folder, "__main__.py", ACTION).parent)),
    "module": lambda folder: Server(
        "--module", "hello", env=path_of(written(folder, "hello.py", ACTION).parent)
    ),
    "module of start": lambda folder: Server(
        "--module", "hello", env=path_of(written(folder, "hello.py", BY_START).parent)
    ),
    "posted artifact": lambda folder: posted(built(folder, ACTION).read_bytes()),
    "posted zip of a build": lambda folder: posted(
        built(folder, ACTION, "--format", "zip").read_bytes()
    ),
    "served artifact": lambda folder: Server(str(built(folder, BY_START))),
}


def path_of(folder: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_an_action_defines_is_found_in_every_child(
    way: Callable[[Path], Any], tmp_path: Path
) -> None:
    with way(tmp_path) as server:
        for event in STARTS:
            found = server.call(event)
            assert found["number"] == 8, (event, found, server.stderr())
        assert "Traceback" not in server.stderr()


def test_a_running_artifact_finds_itself_in_every_child(tmp_path: Path) -> None:
    artifact = built(tmp_path, BY_START)
    run_dir = tmp_path / "run"
    run_dir.mkdir(mode=0o700)
    with Server("--run-dir", str(run_dir), command=(sys.executable, str(artifact))) as server:
        for event in STARTS:
            assert server.call(event)["number"] == 8, (event, server.stderr())


def test_a_file_by_start_finds_itself_in_every_child(tmp_path: Path) -> None:
    file = written(tmp_path, "hello.py", BY_START)
    run_dir = tmp_path / "run"
    run_dir.mkdir(mode=0o700)
    with Server("--run-dir", str(run_dir), command=(sys.executable, str(file))) as server:
        for event in STARTS:
            assert server.call(event)["number"] == 8, (event, server.stderr())


def test_a_child_sees_the_file_where_it_lies(tmp_path: Path) -> None:
    with Server(str(written(tmp_path, "hello.py", ACTION))) as server:
        (tmp_path / "data.txt").touch()
        for how in ("spawn", "forkserver"):
            name, file, listed = server.call({"how": how})["seen"]
            assert (name, file) == ("main__", "hello.py")
            assert "data.txt" in listed
        assert not (tmp_path / "main__.py").exists()


def test_a_child_runs_the_source_that_its_version_began_with(tmp_path: Path) -> None:
    file = written(tmp_path, "hello.py", ACTION)
    with Server(str(file)) as server:
        file.write_text("raise RuntimeError('not the current version')\n")
        for how in ("spawn", "subprocess", "loky"):
            assert server.call({"how": how})["number"] == 8


def test_other_programs_of_an_action_find_nothing_of_it(tmp_path: Path) -> None:
    """What a child needs does not hide a module from any other program."""
    looking = """\
import json, subprocess, sys
ASK = "import json, sys; print(json.dumps([json.__file__, sys.path]))"
def main(event):
    done = subprocess.run(
        [sys.executable, *event["flags"], "-c", ASK], capture_output=True, text=True, cwd="/"
    )
    return json.loads(done.stdout)
"""
    file = written(tmp_path, "hello.py", looking)
    (tmp_path / "json_tool.py").touch()
    with Server(str(file)) as server:
        for flags in ([], ["-I"], ["-P"], ["-S"]):
            found, path = server.call({"flags": flags})
            assert found == json.__file__
            assert str(tmp_path) not in path
            ours = [each for each in path if str(server.run_dir) in each]
            assert len(ours) == (0 if flags == ["-I"] else 1)
            for each in ours:
                names = [entry.name for entry in Path(each).iterdir()]
                assert [name for name in names if name.endswith(".py")] == ["main__.py"]


def test_the_import_path_of_the_user_is_kept(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "elsewhere.py").write_text("VALUE = 3\n")
    source = """\
import subprocess, sys
ASK = "import elsewhere, main__; print(elsewhere.VALUE)"
def main(event):
    return {"said": subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True).stdout}
"""
    file = written(tmp_path, "hello.py", source)
    with Server(str(file), env={"PYTHONPATH": str(tmp_path / "other")}) as server:
        assert server.call({})["said"] == "3\n"


def test_no_warning_and_no_name_of_ours_where_a_start_method_is_set_for_all(tmp_path: Path) -> None:
    source = (
        "import multiprocessing\nmultiprocessing.set_start_method('forkserver', force=True)\n"
        + ALONE
    )
    source = source.replace("mp_context=context", "")
    for content in (source, zip_of({"__main__.py": source})):
        with posted(content) as server:
            assert server.call({"how": "forkserver"})["number"] == 8
            assert server.stderr().count("\n") == 2  # the banner, and who is current


def test_a_second_version_has_children_of_its_own(tmp_path: Path) -> None:
    first = zip_of({"beside.py": "TWO = 2\n", "__main__.py": ACTION})
    second = zip_of({"beside.py": "TWO = 3\n", "__main__.py": ACTION})
    with Server() as server:
        for content, number in ((first, 8), (second, 12)):
            assert init_once(server.address, content).status == 200
            for how in ("spawn", "forkserver", "loky", "subprocess"):
                assert server.call({"how": how})["number"] == number
