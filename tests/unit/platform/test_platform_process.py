from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest

from hotwhisk.errors import StartError
from hotwhisk.platform import Action, ContainerRuntime, Invoker, Limits, ProcessRuntime
from hotwhisk.platform.process_runtime import freeze, tree
from hotwhisk.platform.runtime import is_readable
from tests.support.limits import raise_files

# A server and a child of it that does nothing; the handler is the source's `main`.
SERVER = """
import json, os, socket, sys
if not os.fork():
    while True:
        os.read(0, 1) or __import__("signal").pause()
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
assert sys.argv[1] == os.environ["PORT"] and os.environ["EXTRA"] == "a=b"
while True:
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as reader:
        path = reader.readline().split()[1]
        size = 0
        while line := reader.readline().strip().lower():
            if line.startswith(b"content-length:"):
                size = int(line.split(b":")[1])
        request = json.loads(reader.read(size))
        if path == b"/run":
            for stream in (sys.stdout, sys.stderr):
                print("ran", "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX", sep="\\n", file=stream,
                      flush=True)
        body = json.dumps({"pid": os.getpid(), "got": request["value"]}).encode()
        connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
"""
COMMAND = [sys.executable, "-I", "-S", "-c", SERVER, "{port}"]
ACTION = Action("hello", "source", limits=Limits(timeout=10_000))


def runtime() -> ProcessRuntime:
    return ProcessRuntime(COMMAND, env={"EXTRA": "a=b"})


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


def has_left(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists() or state(pid) == "Z"


def test_a_process_is_a_runtime() -> None:
    invoker = Invoker()
    with runtime() as served:
        record = invoker.invoke(served, ACTION, {"a": 1})
        pid = served.pid
        family = tree(pid)
        response = record["response"]
        assert isinstance(response, dict)
        assert response["result"] == {"pid": pid, "got": {"a": 1}}
        logs = record["logs"]
        assert isinstance(logs, list)
        assert sorted(line[31:] for line in logs) == ["stderr: ran", "stdout: ran"]
        assert len(family) == 2
        assert family[0] == pid
    assert all(map(has_left, family))
    assert served.logs is not None
    assert served.logs.wait_end(5.0)


def test_a_frozen_tree_answers_nothing_until_it_is_thawed() -> None:
    invoker = Invoker()
    with runtime() as served:
        invoker.invoke(served, ACTION)
        served.pause()
        assert os.waitid(os.P_PID, served.pid, os.WSTOPPED | os.WNOWAIT) is not None
        assert freeze(served.pid) == tree(served.pid)
        assert invoker.invoke(served, ACTION)["statusCode"] == 0
        assert not served.paused


def test_terminate_asks_and_wait_tells_how_it_left() -> None:
    with runtime() as served:
        Invoker().invoke(served, ACTION)
        child = tree(served.pid)[1]
        served.terminate()
        assert served.wait(10.0) == -signal.SIGTERM
        assert state(child) == "S", "signals are for the process that was started"
    assert has_left(child), "a container is removed with all that is in it"


def test_a_program_that_does_not_exist_ends_at_once_and_init_fails() -> None:
    with ProcessRuntime(["/does/not/exist"]) as served:
        assert served.wait(10.0) == 127
        record = Invoker().invoke(served, Action("x", "c!", limits=Limits(timeout=100)))
    assert record["statusCode"] == 2


def test_an_engine_that_is_not_installed_is_named() -> None:
    with pytest.raises(StartError, match="no-such-engine"):
        ContainerRuntime("image", docker="no-such-engine").start()


ENGINE = """#!/bin/sh
echo "$@" >> "{folder}/calls"
case "$1" in
  run) echo the-id ;;
  port) echo 127.0.0.1:{port} ;;
  logs) echo from stdout; echo from stderr >&2 ;;
  inspect)
    case "$3" in
      *IPAddress*) echo "{address}" ;;
      *OOMKilled*) echo true ;;
      *) echo {state} ;;
    esac ;;
  pause) echo "cannot pause" >&2; exit 1 ;;
esac
"""


def engine(folder: Path, *, port: int = 1, address: str = "", state: str = "true 0") -> str:
    path = folder / "engine"
    text = ENGINE.format(folder=folder, port=port, address=address, state=state)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_a_container_is_called_at_its_own_address_where_that_can_be_reached(tmp_path: Path) -> None:
    with ContainerRuntime("image", docker=engine(tmp_path, address="no-name 127.0.0.1")) as served:
        assert served.url == "http://127.0.0.1:8080"


def test_a_port_of_this_machine_is_good_when_connections_to_it_are_kept(tmp_path: Path) -> None:
    kept: list[socket.socket] = []

    def proxy() -> None:
        for _ in range(3):  # as an engine's proxy does while no server listens behind it
            listener.accept()[0].close()
        kept.append(listener.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=proxy)
        thread.start()
        port = listener.getsockname()[1]
        with ContainerRuntime("image", docker=engine(tmp_path, port=port)) as served:
            assert served.url == f"http://127.0.0.1:{port}"
            thread.join(10.0)
            assert len(kept) == 1
        kept[0].close()


def test_a_container_that_ends_at_once_says_so_and_is_removed(tmp_path: Path) -> None:
    docker = engine(tmp_path, state="false 3")
    script = Path(docker)
    text = script.read_text(encoding="utf-8").replace("port) echo", "port) exit 1; echo")
    script.write_text(text, encoding="utf-8")
    with pytest.raises(StartError, match="it ended with status 3: from std"):
        ContainerRuntime("image", docker=docker).start()
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    assert calls[-1] == "rm --force the-id"


def test_a_container_is_driven_by_the_engines_command_line(tmp_path: Path) -> None:
    docker = engine(tmp_path, state="false 3")
    served = ContainerRuntime("image:1", env={"A": "b"}, memory=128, docker=docker)
    with served:
        assert served.url == "http://127.0.0.1:1"
        assert served.ended() == "status 3"
        assert served.out_of_memory()
        assert served.logs is not None
        assert served.logs.wait_end(10.0)
        lines = {(line.stream, line.text) for line in served.logs.drain()}
        assert lines == {("stdout", "from stdout"), ("stderr", "from stderr")}
        with pytest.raises(StartError, match="pause failed: cannot pause"):
            served.pause()
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    assert calls[0].startswith("run --detach ")
    for flag in ("--memory=128m", "--memory-swap=128m", "--env=A=b", "image:1"):
        assert flag in calls[0].split()
    assert calls[-1] == "rm --force the-id"


def test_a_descriptor_above_1023_is_waited_for() -> None:
    raise_files(2048)
    reading, writing = os.pipe()
    high = fcntl.fcntl(reading, fcntl.F_DUPFD_CLOEXEC, 1500)
    try:
        assert not is_readable(high, 0)
        os.write(writing, b"x")
        assert is_readable(high)
    finally:
        for each in (reading, writing, high):
            os.close(each)
