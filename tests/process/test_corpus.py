"""
Actions as users write them for OpenWhisk, each on a server of its own, called as the platform
calls. What is expected is in `events.json` beside each, and came from plain Python.

An action is `action.py`, or the folder `action`, sent as a zip, with `source/*.c` compiled into
it; or the folder `zip` with wheels beside it, which become its `virtualenv`.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import sysconfig
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from hotwhisk.cli.files import read_code
from hotwhisk.invoker import Action, Invoker, Limits, ProcessRuntime
from hotwhisk.invoker.texts import LOGS_AFTER_ERROR

CORPUS = Path(__file__).parents[1] / "corpus"
CASES = sorted(path.parent for path in CORPUS.glob("*/events.json"))
COMMAND = [sys.executable, "-m", "hotwhisk", "serve", "--openwhisk", "--host", "127.0.0.1"]
STAMP = 31  # characters before the stream in a line of a record

# What the tool `virtualenv` puts there, as far as an action needs it.
ACTIVATE_THIS = """
import os, site, sys
base = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
before = list(sys.path)
site.addsitedir(os.path.join(base, "lib", "python%d.%d" % sys.version_info[:2], "site-packages"))
sys.path[:] = [path for path in sys.path if path not in before] + before
sys.prefix = base
"""


class Neighbour(ThreadingHTTPServer):
    """
    The server that actions of the corpus talk to.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.calls: Counter[str] = Counter()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str) -> tuple[int, object]:
        with self.lock:
            self.calls[path] += 1
            count = self.calls[path]
        if path.startswith("/flaky/"):
            return (503, {}) if count == 1 else (200, {"call": count})
        if path.startswith("/echo/"):
            return 200, {"echo": unquote(path.removeprefix("/echo/"))}
        if path.startswith("/pages?after="):
            page = int(path.rpartition("=")[2])
            items = [page * 3 + offset for offset in range(3)]
            return 200, {"items": items, "next": str(page + 1) if page < 2 else None}
        return (200, {"fetched": count}) if path == "/count" else (404, {})


class Answer(BaseHTTPRequestHandler):
    server: Neighbour

    def do_GET(self) -> None:
        status, document = self.server.answer(self.path)
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def neighbour() -> Iterator[Neighbour]:
    with Neighbour() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def code_of(case: Path, work: Path) -> str:
    if (case / "action.py").exists():
        return read_code(str(case / "action.py"))[0]
    if (case / "zip").exists():
        return base64.b64encode(zipped(case, work / "action.zip").read_bytes()).decode()
    folder = work / case.name
    shutil.copytree(case / "action", folder, ignore=shutil.ignore_patterns("__pycache__"))
    for source in sorted((case / "source").glob("*.c")):
        compile_extension(source, folder)
    return read_code(str(folder))[0]


def compile_extension(source: Path, folder: Path) -> None:
    include = Path(sysconfig.get_paths()["include"])
    if shutil.which("cc") is None:
        pytest.fail(f"{source.name} cannot be compiled: there is no cc (Debian: apt install gcc)")
    if not (include / "Python.h").exists():
        pytest.fail(f"{source.name} cannot be compiled: {include} has no Python.h (python3-dev)")
    target = folder / f"{source.stem}.so"
    flags = ["-shared", "-fPIC", "-O1", f"-I{include}"]
    done = subprocess.run(
        ["cc", *flags, "-o", str(target), str(source)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def zipped(case: Path, target: Path) -> Path:
    packages = f"virtualenv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((case / "zip").rglob("*.py")):
            archive.write(path, path.relative_to(case / "zip"))
        archive.writestr("virtualenv/bin/activate_this.py", ACTIVATE_THIS)
        for wheel in sorted(case.glob("*.whl")):
            with zipfile.ZipFile(wheel) as content:
                for name in content.namelist():
                    archive.writestr(f"{packages}/{name}", content.read(name))
    return target


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
    assert errors == wanted.get("stderr", [])


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_action_runs_unedited(case: Path, tmp_path: Path, neighbour: Neighbour) -> None:
    text = (case / "events.json").read_text(encoding="utf-8")
    wanted = json.loads(text.replace("{server}", neighbour.url))
    action = Action(
        case.name,
        code_of(case, tmp_path),
        main=wanted.get("main", "main"),
        init_parameters=wanted.get("init", {}),
        limits=Limits(timeout=30_000),
    )
    run_dir = tmp_path / "run"
    run_dir.mkdir(mode=0o700)
    command = [*COMMAND, "--port", "{port}", "--run-dir", str(run_dir)]
    with ProcessRuntime(command) as runtime:
        for activation in wanted["activations"]:
            if activation.get("pause"):
                runtime.pause()
            check(Invoker().invoke(runtime, action, activation["event"]), activation)
            if runtime.started:  # up to the second sentinel all was taken; a third would be left
                assert runtime.logs is not None
                assert runtime.logs.drain() == []


def test_the_corpus_is_whole() -> None:
    folders = {path for path in CORPUS.iterdir() if path.is_dir() and path.name[0] not in "._"}
    assert folders == set(CASES)
    assert len(CASES) >= 40
