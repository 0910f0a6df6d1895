"""
Isolation of the action: its own modules win, and it sees nothing of the server or an earlier
version.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotwhisk.platform import SENTINEL
from tests.support.archives import zip_of
from tests.support.client import Connection, init_once, run_once
from tests.support.server import Server

from . import control
from .report import report_source

SHADOWS = {
    "json.py": "NAME = 'own json'\n",
    "socket.py": "NAME = 'own socket'\n",
    "traceback.py": "NAME = 'own traceback'\n",
    "ast.py": "NAME = 'own ast'\n",
    "mmap.py": "NAME = 'own mmap'\n",
    "zipfile.py": "NAME = 'own zipfile'\n",
    "inspect.py": "NAME = 'own inspect'\n",
    "orjson.py": "NAME = 'own orjson'\n",
    "action.py": "NAME = 'own action'\n",
    "worker.py": "NAME = 'own worker'\n",
    "hotwhisk.py": "raise RuntimeError('hotwhisk itself is not shadowed')\n",
    "asyncio/__init__.py": "NAME = 'own asyncio'\nfrom .inner import DEEP\n",
    "asyncio/inner.py": "DEEP = 'deep'\n",
}
NAMES = sorted(name.split(".")[0].split("/")[0] for name in SHADOWS if name != "hotwhisk.py")
SHADOWED = f"""\
import asyncio, importlib
from hotwhisk import Context

NAMES = {{name: importlib.import_module(name).NAME for name in {list(dict.fromkeys(NAMES))}}}

DEFINE main(event):
    if "raise" in event:
        raise ValueError("told to")
    if "long" in event:
        return {{"long": event["long"]}}
    return NAMES | {{"deep": asyncio.DEEP, "context": Context.__module__}}
"""


@pytest.fixture
def private() -> Iterator[Server]:
    env = {"HOTWHISK_TOKEN_FILE": "", "WATCHDOG_USEC": "", "LISTEN_FDNAMES": "it", "KEPT": "yes"}
    with Server(env=env) as started:
        yield started


@pytest.mark.slow
@pytest.mark.parametrize("define", ["def", "async def"])
def test_what_the_action_brings_wins(server: Server, define: str) -> None:
    source = SHADOWED.replace("DEFINE", define)
    server.post(zip_of({**SHADOWS, "__main__.py": source}))
    expected = {name: f"own {name}" for name in NAMES}
    answer = server.call()
    assert answer == expected | {"deep": "deep", "context": "hotwhisk.openwhisk.context"}
    # What the server itself needs later is not imported from there: long JSON, and an error's text.
    assert server.call({"long": "x" * 200_000}) == {"long": "x" * 200_000}
    assert server.call() == answer


def test_a_traceback_is_printed_by_our_own_modules() -> None:
    with Server() as server:
        server.post(zip_of({**SHADOWS, "__main__.py": SHADOWED.replace("DEFINE", "async def")}))
        assert server.call({"raise": 1}) == {"error": "ValueError: told to (__main__.py:8)"}
        assert 'raise ValueError("told to")' in server.stderr()
        assert "hotwhisk/" not in server.stderr()
        assert "could not be printed" not in server.stderr()


def test_an_older_version_of_a_library_of_the_server_wins(tmp_path: Path) -> None:
    # The server's own environment has version 2, and has imported it.
    site = tmp_path / "site"
    (site / "library").mkdir(parents=True)
    (site / "library" / "__init__.py").write_text("from .inner import VERSION\n")
    (site / "library" / "inner.py").write_text("VERSION = 2\n")
    source = "import library\ndef main(event): return {'version': library.VERSION}\n"
    with Server("--preload", "library", env={"PYTHONPATH": f"{site}:src"}) as server:
        assert "preloaded library" in server.stderr()
        server.post(source)
        assert server.call() == {"version": 2}
        own = {
            "library/__init__.py": "from .inner import VERSION\n",
            "library/inner.py": "VERSION=1",
        }
        server.post(zip_of({**own, "__main__.py": source}))
        assert server.call() == {"version": 1}
        server.post(source)
        assert server.call() == {"version": 2}


@pytest.mark.parametrize("asynchronous", [False, True])
def test_nothing_of_the_server_is_seen(private: Server, asynchronous: bool) -> None:
    private.post(report_source(asynchronous=asynchronous))
    seen = private.call()
    assert seen["argv"] == [""]
    assert seen["main"] == []
    assert seen["name"] == "main__"
    assert seen["globals"] == ["os", "sys", "threading"]
    assert (seen["stdin"], seen["read"]) == ("/dev/null", "")
    assert seen["cwd"] == seen["path"]
    assert seen["files"] == ["main__.py"]
    assert seen["threads"] == 1
    assert seen["environ"]["KEPT"] == "yes"
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "HOTWHISK_TOKEN_FILE"} & seen["environ"].keys()
    assert not [name for name in seen["environ"] if name.startswith("LISTEN_")]
    tops = {name.partition(".")[0] for name in seen["modules"]}
    started = "import sys, traceback; print(*sys.modules)"  # what every Python here has
    printed = subprocess.run([sys.executable, "-c", started], stdout=subprocess.PIPE, check=True)
    tops -= set(printed.stdout.decode().split())
    known = set(sys.stdlib_module_names) | {"hotwhisk", "main__", "__main__", "_distutils_hack"}
    assert not {
        name for name in tops - known if "virtualenv" not in name and "editable" not in name
    }


def test_nothing_of_an_earlier_generation_is_seen(server: Server) -> None:
    leaving = """\
import os, sys, types, builtins, pathlib, json
os.environ["LEFT"] = "yes"
os.umask(0)
pathlib.Path("left.txt").write_text("left")
sys.modules["left"] = types.ModuleType("left")
sys.path.insert(0, "/left")
builtins.left = json.left = "yes"
def main(event):
    os.environ["LEFT_TOO"] = "yes"
    os.chdir("/")
    return {}
"""
    server.post(leaving)
    server.call()
    looking = """\
import builtins, json
def main(event):
    return report(event) | {"builtins": hasattr(builtins, "left"), "json": hasattr(json, "left")}
"""
    source = report_source().replace("def main", "def report") + looking
    server.post(source)
    seen = server.call()
    assert not [name for name in seen["environ"] if "LEFT" in name]
    assert "left" not in seen["modules"]
    assert seen["path"] == seen["cwd"] != "/"
    assert seen["files"] == ["main__.py"]
    assert (seen["builtins"], seen["json"]) == (False, False)


@pytest.mark.parametrize("spent", [0.0, 0.1])  # with much time spent a template is left behind
def test_an_action_may_replace_clocks_and_more_in_its_process(server: Server, spent: float) -> None:
    source = """\
import json, os, socket, threading, time
while time.process_time() < SPENT:
    pass
def absent(*_):
    raise RuntimeError("not ours")
time.time = time.monotonic = time.process_time = os.getpid = json.loads = json.dumps = absent
socket.socket = None
socket.setdefaulttimeout(0.001)
def main(event):
    os._exit = absent
    return {"thread": threading.get_native_id()}
"""
    server.post(source.replace("SPENT", str(spent)))
    assert len({server.call()["thread"] for _ in range(3)}) == 1  # one process serves all
    with Connection(server.address) as connection:
        assert connection.run({}).status == 200
    server.post("def main(event): return {'next': 1}\n")
    assert server.call() == {"next": 1}


@pytest.mark.parametrize("modules", ["os", "select, array, fcntl, mmap, struct, termios", "socket"])
def test_an_action_may_replace_all_functions_of_a_module_in_its_process(
    server: Server, modules: str
) -> None:
    source = f"""\
import {modules}
def main(event):
    for module in ({modules},):
        for name, value in list(vars(module).items()):
            if callable(value) and not name.startswith("_") and name != "PathLike":
                setattr(module, name, None)
    return {{"replaced": True}}
"""
    server.post(source)
    body = json.dumps({"value": {"text": "x" * 300_000}}).encode()
    head = b"POST /run HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    with Connection(server.address) as kept, Connection(server.address) as half:
        assert kept.run({}).value("replaced")
        half.send(head + body[:200_000])
        assert server.call() == {"replaced": True}
        assert kept.init("def main(event): return {'next': len(event['text'])}").status == 200
        half.send(body[200_000:])
        assert half.read_response().value("next") == 300_000
    assert control.status(server)["deaths"] == []


def test_a_worker_is_forked_from_an_action_that_replaced_what_a_template_needs_not(
    server: Server,
) -> None:
    source = """\
import os, signal, time
while time.process_time() < 0.1:
    pass
own = os.getpid()
os.getpid = time.monotonic = None
def main(event):
    if event:
        os.kill(own, signal.SIGKILL)
    return {"loaded by": own}
"""
    server.post(source)
    loaded = server.call()
    with Connection(server.address) as connection:
        assert connection.run({"die": True}).status == 502
    assert server.call() == loaded


def test_the_environment_of_an_init_ends_with_its_generation(server: Server) -> None:
    from tests.support.wire import post

    source = "import os\nSET = os.environ.get('SET')\ndef main(event): return {'set': SET}\n"
    body = {"value": {"code": source, "env": {"SET": "yes"}}}
    with Connection(server.address) as connection:
        connection.send(post("/init", json.dumps(body).encode()))
        assert connection.read_response().status == 200
    assert server.call() == {"set": "yes"}
    server.post(source)
    assert server.call() == {"set": None}


def test_a_handler_without_parameters_becomes_current_on_the_platform_only(server: Server) -> None:
    source = "def main(): return {}\n"
    refused = init_once(server.address, source)
    assert (refused.status, b"cannot be called with an event" in refused.body) == (502, True)
    with Server("--openwhisk") as whisk:
        assert init_once(whisk.address, source).status == 200
        assert "positional argument" in whisk.call()["error"]


@pytest.mark.parametrize(
    ("source", "status", "text"),
    [
        ("def main(:\n", 502, "does not compile"),
        ("import absent\n", 502, "ModuleNotFoundError"),
        ("import hotwhisk\n@hotwhisk.on_startup\ndef ready(): raise OSError('no data base')\ndef main(e): return e\n", 502, "no data base"),
        ("import hotwhisk\n@hotwhisk.on_startup\nasync def ready(): raise OSError('gone')\ndef main(e): return e\n", 502, "gone"),
        ("import os\nos._exit(1)\n", 502, "Command exited abruptly during initialization."),
    ],
)  # fmt: skip
def test_under_openwhisk_the_log_has_what_the_caller_is_not_told(
    source: str, status: int, text: str
) -> None:
    with Server("--openwhisk") as server:
        response = init_once(server.address, source)
        assert response.status == status
        assert json.loads(response.body)["error"] in (
            "The action failed to generate or locate a binary. See logs for details.",
            "Cannot start action. Check logs for details.",
        )
        assert text in server.stderr()
        assert "src/hotwhisk" not in server.stderr()
        assert (server.stdout().count(SENTINEL), server.stderr().count(SENTINEL)) == (1, 1)


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("def main(:\n", "main__.py does not compile"),
        ("import absent\n", "cannot start action: "),
        ("import sys\nsys.exit(1)\n", "cannot start action: "),
        (
            "import os\nos._exit(1)\n",
            "cannot start action: Command exited abruptly during initialization.",
        ),
    ],
)
def test_under_openwhisk_an_empty_ow_log_init_error_tells_the_caller_instead(
    source: str, answer: str
) -> None:
    with Server("--openwhisk", env={"OW_LOG_INIT_ERROR": ""}) as server:
        response = init_once(server.address, source)
        assert response.status == 502
        assert json.loads(response.body)["error"].startswith(answer)
        assert SENTINEL not in server.stdout() + server.stderr()
        assert "abruptly" not in server.stderr()
        assert init_once(server.address, "def main(args): return args").status == 200


CLOSING = {
    "closed": "os.close(1); os.close(2)",
    "elsewhere": "null = os.open(os.devnull, os.O_WRONLY); os.dup2(null, 1); os.dup2(null, 2)",
    "all": "os.closerange(0, 1 << 20)",
}


@pytest.mark.parametrize("statement", CLOSING.values(), ids=CLOSING)
def test_an_activation_ends_in_the_log_whatever_its_streams_are_by_then(statement: str) -> None:
    with Server("--openwhisk") as server:
        server.post(f"import os\ndef main(event):\n    {statement}\n    return event\n")
        for count in (1, 2):
            run_once(server.address, {})
            assert server.stdout().count(SENTINEL) == count
            assert server.stderr().count(SENTINEL) == count


def test_who_connects_after_a_stream_was_closed_is_not_printed_to(server: Server) -> None:
    source = "import os\ndef main(event):\n    STATEMENT\n    return event\n"
    server.post(
        source.replace("STATEMENT", "os.write(1, b'here') if event else os.closerange(0, 3)")
    )
    assert server.call({}) == {}
    assert server.call({"print": 1}) == {"print": 1}
    assert server.stdout() == "here"


FORKING = {
    "import": "if not os.fork(): STATEMENT\nos.wait()\ndef main(event): return event\n",
    "ready": "import hotwhisk\n@hotwhisk.on_startup\ndef ready():\n    if not os.fork(): STATEMENT\n    os.wait()\ndef main(event): return event\n",
    "coroutine": "import hotwhisk\n@hotwhisk.on_startup\nasync def ready():\n    if not os.fork(): STATEMENT\n    os.wait()\n"
    "async def main(event): return event\n",
}


@pytest.mark.parametrize("source", FORKING.values(), ids=FORKING)
@pytest.mark.parametrize("statement", ["sys.exit(3)", "raise ValueError('of the child')"])
def test_a_copy_that_comes_out_of_loading_says_nothing(source: str, statement: str) -> None:
    with Server("--openwhisk") as server:
        server.post("import os, sys\n" + source.replace("STATEMENT", statement))
        run_once(server.address, {})
        assert (server.stdout().count(SENTINEL), server.stderr().count(SENTINEL)) == (1, 1)
        assert "src/hotwhisk" not in server.stderr()
        assert "while it was loaded" not in server.stderr()


ASYNC_FORKING = {
    "async def": "async def main(event):\n    if not os.fork(): STATEMENT\n    os.wait()\n    return event\n",
    "awaitable": "async def run(event):\n    if not os.fork(): STATEMENT\n    os.wait()\n    return event\n"
    "main = lambda event: run(event)\n",
}


@pytest.mark.parametrize("source", ASYNC_FORKING.values(), ids=ASYNC_FORKING)
@pytest.mark.parametrize("statement", ["sys.exit(3)", "return event"])
def test_a_copy_that_comes_out_of_a_coroutine_ends_and_asyncio_reports_nothing(
    source: str, statement: str
) -> None:
    with Server() as server:
        server.post("import os, sys\n" + source.replace("STATEMENT", statement))
        for number in range(2):
            assert server.call({"asked": number}) == {"asked": number}
        assert "Exception" not in server.stderr()


@pytest.mark.parametrize("define", ["def", "async def"])
def test_a_copy_that_goes_on_where_it_was_forked_ends(server: Server, define: str) -> None:
    server.post(
        f"import os, hotwhisk\nos.fork()\n@hotwhisk.on_startup\n{define} ready(): os.fork()\n{define} main(e): return e\n"
    )
    assert server.call({"asked": 1}) == {"asked": 1}
    # Each process that has the channel open gets the message.
    server.post("def main(event): return event\n")
    assert server.call({"asked": 2}) == {"asked": 2}


@pytest.mark.parametrize("profile", [(), ("--openwhisk",)])
def test_the_text_of_an_exit_is_in_the_log(profile: tuple[str, ...]) -> None:
    with Server(*profile) as server:
        server.post("import sys\ndef main(event): sys.exit(event['with'])\n")
        before = server.stderr()
        for code in (1, None, "no data base"):
            assert run_once(server.address, {"with": code}).status in (400, 502)
        told = server.stderr().removeprefix(before).replace(f"{SENTINEL}\n", "")
        assert told == "no data base\n"


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "GeneratorExit", "asyncio.CancelledError"])
@pytest.mark.parametrize("define", ["def", "async def"])
def test_what_is_no_error_costs_its_request_and_is_no_result(define: str, raised: str) -> None:
    source = (
        f"import asyncio\n{define} main(event):\n    if event: raise {raised}\n    return event\n"
    )
    told = f'{{"error":"the action raised {raised.rpartition(".")[2]} during this request"}}\n'
    for profile, status, body in (
        ((), 502, told),
        (("--openwhisk",), 400, '{"error":"command exited"}\n'),
    ):
        with Server(*profile) as server:
            server.post(source)
            response = run_once(server.address, {"raise": True})
            assert (response.status, response.body.decode()) == (status, body)
            assert server.call({}) == {}
