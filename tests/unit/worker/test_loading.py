"""A spare becomes a worker, or fails to: each time in a process of its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hotwhisk.ipc.channel import Channel, ChannelClosed
from hotwhisk.ipc.messages import (
    Failed,
    Ping,
    Pong,
    Ready,
    Recall,
    Released,
    Spawn,
    Spawned,
    TemplateReady,
)
from tests.unit.worker.process import SLOT, End, Starter, WorkerProcess

HELLO = "def main(event):\n    return {'hello': event.get('name')}\n"


@pytest.fixture(scope="module")
def starter() -> Iterator[Starter]:
    """Start a process that forks the workers of these tests."""
    starter = Starter()
    yield starter
    starter.close()


@pytest.fixture
def start(starter: Starter, tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Start a worker, with what is set of its configuration."""
    started: list[WorkerProcess] = []

    def make(**settings: Any) -> WorkerProcess:
        started.append(WorkerProcess(starter, tmp_path, settings))
        return started[-1]

    yield make
    for each in started:
        each.close()


def failed(worker: WorkerProcess) -> Failed:
    message = worker.wait_message()
    assert isinstance(message, Failed)
    return message


def ready(worker: End) -> Ready:
    message = worker.wait_message()
    assert isinstance(message, Ready)
    return message


# -- a load that succeeds ---------------------------------------------------------------------


def test_a_worker_that_has_loaded_a_version_sends_ready_and_answers(
    start: Callable[..., WorkerProcess],
) -> None:
    worker = start()
    worker.load(HELLO)
    message = ready(worker)
    assert not message.overlap
    response = worker.run({"name": "Mike"})
    assert response.json() == {"hello": "Mike"}
    assert response.headers["hotwhisk-generation"] == f"1 {message.digest}"


def test_a_worker_with_a_coroutine_takes_several_requests_at_a_time(
    start: Callable[..., WorkerProcess],
) -> None:
    worker = start()
    worker.load(
        "import asyncio\n\nasync def main(event):\n    await asyncio.sleep(0)\n    return event\n"
    )
    assert ready(worker).overlap
    assert worker.run({"name": "Mike"}).json() == {"name": "Mike"}


def test_the_content_of_a_served_file_is_kept_for_further_workers(
    start: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    worker, file = start(), tmp_path / "hello.py"
    file.write_text(HELLO)
    worker.load_file(file)
    worker.wait_message()  # the spill file
    (spill,) = worker.descriptors
    message = ready(worker)
    assert HELLO.encode() in os.pread(spill, message.length, 0)
    os.close(spill)
    file.write_text("def main(event):\n    return {'changed': True}\n")
    assert worker.run({"name": "Mike"}).json() == {"hello": "Mike"}


def test_a_further_worker_loads_the_content_that_the_first_one_kept(
    start: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    first, file = start(), tmp_path / "hello.py"
    file.write_text(HELLO)
    first.load_file(file)
    first.wait_message()
    (spill,) = first.descriptors
    message = ready(first)
    file.write_text("def main(event):\n    return {'changed': True}\n")
    second = start()
    second.load_kept(file, spill, message.length)
    os.close(spill)
    assert ready(second).digest == message.digest
    assert second.run({"name": "Mike"}).json() == {"hello": "Mike"}


def test_a_folder_is_served_from_its_entry(
    start: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    worker, folder = start(), tmp_path / "action"
    folder.mkdir()
    (folder / "helper.py").write_text("GREETING = 'hello'\n")
    (folder / "__main__.py").write_text(
        "from helper import GREETING\n\ndef main(event):\n    return [GREETING]\n"
    )
    worker.load_file(folder)
    worker.wait_message()
    os.close(*worker.descriptors)
    ready(worker)
    assert worker.run({}).json() == ["hello"]


def test_a_program_that_follows_actionloop_runs_in_its_own_folder(
    start: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    worker, file = start(), tmp_path / "program"
    file.write_text("#!/bin/sh\nwhile read -r line; do echo '{\"answer\":1}' >&3; done\n")
    file.chmod(0o755)
    worker.load_file(file)
    worker.wait_message()
    os.close(*worker.descriptors)
    ready(worker)
    assert worker.run({}).json() == {"answer": 1}


def test_an_awaitable_that_a_plain_handler_returns_is_run_to_its_end(
    start: Callable[..., WorkerProcess],
) -> None:
    worker = start()
    worker.load(
        "async def answer(event):\n    return event\n\nmain = lambda event: answer(event)\n"
    )
    assert not ready(worker).overlap
    for number in range(2):  # the second time in the loop of the first
        assert worker.run({"name": "Mike"}, number).json() == {"name": "Mike"}


def test_functions_for_the_start_run_before_the_worker_is_ready(
    start: Callable[..., WorkerProcess],
) -> None:
    worker = start()
    worker.load(
        "from hotwhisk import on_startup\nseen = []\n\n"
        "@on_startup\nasync def first():\n    seen.append('first')\n\n"
        "@on_startup\ndef second():\n    seen.append('second')\n\n"
        "def main(event):\n    return seen\n"
    )
    ready(worker)
    assert worker.run({}).json() == ["first", "second"]


def test_a_fork_that_the_action_makes_while_it_is_loaded_sends_nothing(
    start: Callable[..., WorkerProcess],
) -> None:
    worker = start()
    worker.load(f"import os\npid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\n{HELLO}")
    ready(worker)
    worker.send(Ping())
    assert worker.wait_message() == Pong()


# -- a load that fails ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("1 / 0\n", "the code raised ZeroDivisionError while it was loaded"),
        ("import sys\nsys.exit(3)\n", "The code called sys.exit(3) while it was loaded"),
        ("raise KeyboardInterrupt\n", "the code raised KeyboardInterrupt"),
        ("def main(:\n", "does not compile"),
        ("def other(event): pass\n", "has no function 'main'; it has other: give --main other, or"),
        ("def main(): pass\n", "the handler cannot be called with an event"),
        ("import lost_library\n", "a single file is posted alone"),
        ("import lost_library\n", "declare it in a header # /// script of the source, or in"),
        (
            "from hotwhisk import on_startup\n\n@on_startup\ndef connect():\n    1 / 0\n\n" + HELLO,
            "connect(), called on startup, raised ZeroDivisionError",
        ),
    ],
)
def test_a_version_that_cannot_be_loaded_fails_with_the_reason(
    start: Callable[..., WorkerProcess], code: str, text: str
) -> None:
    worker = start()
    worker.load(code)
    message = failed(worker)
    assert text in message.text
    assert 400 <= message.status <= 599
    worker.send(Ping())  # it is alive: the supervisor ends it
    assert worker.wait_message() == Pong()


def test_the_author_finds_the_traceback_of_a_failed_load_in_the_log(
    start: Callable[..., WorkerProcess],
) -> None:
    worker = start()
    worker.load("1 / 0\n")
    failed(worker)
    worker.channel.close()
    _, _, err = worker.wait_end()
    assert "ZeroDivisionError: division by zero" in err
    assert "hotwhisk/worker" not in err


def test_under_openwhisk_the_cause_is_in_the_log_and_the_text_is_the_platforms(
    start: Callable[..., WorkerProcess],
) -> None:
    worker = start(openwhisk=True)
    worker.load("1 / 0\n")
    assert failed(worker).text == "Cannot start action. Check logs for details."
    worker.channel.close()
    _, _, err = worker.wait_end()
    assert "the code raised ZeroDivisionError while it was loaded" in err


def test_a_file_that_is_gone_fails(start: Callable[..., WorkerProcess], tmp_path: Path) -> None:
    worker = start()
    worker.load_file(tmp_path / "nothing.py")
    assert "cannot read" in failed(worker).text


def test_an_empty_file_fails(start: Callable[..., WorkerProcess], tmp_path: Path) -> None:
    worker, file = start(), tmp_path / "empty.py"
    file.write_text("\n")
    worker.load_file(file)
    assert "is empty" in failed(worker).text


def test_an_exception_of_a_startup_function_that_is_a_coroutine_fails(
    start: Callable[..., WorkerProcess],
) -> None:
    worker = start()
    worker.load(
        "from hotwhisk import on_startup\n\n@on_startup\nasync def connect():\n    1 / 0\n\n"
        "async def main(event):\n    return event\n"
    )
    assert "connect(), called on startup, raised ZeroDivisionError" in failed(worker).text


def test_an_action_that_ends_its_process_while_it_is_loaded_ends_the_worker(
    start: Callable[..., WorkerProcess],
) -> None:
    worker = start()
    worker.load("import os\nos._exit(3)\n")
    with pytest.raises(ChannelClosed):
        worker.wait_message()
    assert worker.wait_end()[0] == 3


# -- the end of a worker ----------------------------------------------------------------------


def test_a_worker_ends_with_its_channel(start: Callable[..., WorkerProcess]) -> None:
    worker = start()
    worker.channel.close()
    assert worker.wait_end()[0] == 71


def test_a_draining_worker_ends_after_its_exit_functions_when_it_has_no_connection(
    start: Callable[..., WorkerProcess],
) -> None:
    worker = start()
    worker.load("import atexit\natexit.register(print, 'closed')\n" + HELLO)
    ready(worker)
    worker.send(Recall(drain=True))
    assert worker.wait_message() == Released([], recalled=True)
    assert worker.wait_end()[:2] == (0, "closed\n")


# -- templates --------------------------------------------------------------------------------

SLOW = (
    "import time\n"
    "until = time.process_time() + 0.04\n"
    "while time.process_time() < until:\n    pass\n"
)
"""As much processor time as makes a template worthwhile."""


def test_a_slow_load_leaves_a_template_from_which_workers_are_forked(
    start: Callable[..., WorkerProcess],
) -> None:
    worker = start()
    worker.load(f"import os\n{SLOW}loaded_in = os.getpid()\n"
        "def main(event):\n    return [loaded_in, os.getpid()]\n", template=True)  # fmt: skip
    message = worker.wait_message()
    assert isinstance(message, TemplateReady)
    assert not message.reason
    end, pidfd = worker.descriptors
    template = End(socket.socket(fileno=end))
    os.close(pidfd)
    ready(worker)
    first = worker.run({}).json()
    assert first[0] == first[1]

    ours, theirs = Channel.pair()
    with closing(theirs):
        template.send(Spawn(SLOT + 1, 0, "hotwhisk:1"), theirs.fileno())
    spawned = template.wait_message()
    assert isinstance(spawned, Spawned)
    other = End(ours)
    ready(other)
    assert other.run({}, number=1).json() == [first[0], spawned.pid]
    for each in (other, template, worker):
        each.channel.close()
    assert worker.wait_end()[0] == 71  # all its children have ended


def test_a_quick_load_leaves_no_template(start: Callable[..., WorkerProcess]) -> None:
    worker = start()
    worker.load(HELLO, template=True)
    ready(worker)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import threading\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()", "left 1 threads"),
        ("import subprocess\nchild = subprocess.Popen(['cat'], stdin=subprocess.PIPE)", "left a process"),
        ("file = open('/etc/passwd')", "keeps /etc/passwd open"),
        ("import mmap\nmemory = mmap.mmap(-1, 4096)", "holds shared memory"),
        ("import random\ndice = random.Random()", "holds a generator of random numbers"),
    ],
)  # fmt: skip
def test_an_action_that_holds_what_two_processes_must_not_share_leaves_no_template(
    start: Callable[..., WorkerProcess], code: str, reason: str
) -> None:
    worker = start()
    worker.load(f"{SLOW}{code}\n{HELLO}", template=True)
    message = worker.wait_message()
    assert isinstance(message, TemplateReady)
    assert reason in message.reason
    ready(worker)
    assert worker.run({"name": "Mike"}).status == 200
