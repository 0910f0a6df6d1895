from __future__ import annotations

import os
import socket
from pathlib import Path

from hotwhisk.server import notify


def test_without_a_manager_nothing_happens() -> None:
    assert notify.notify(None, notify.READY) is None
    assert notify.write_ready(None) is None


def test_lines_are_one_datagram(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "s"))
        assert (
            notify.notify(str(tmp_path / "s"), *notify.ready_lines("generation 1\nserves")) is None
        )
        assert manager.recv(1000) == b"READY=1\nSTATUS=generation 1 serves"


def test_a_reload_bears_its_moment_in_the_same_message() -> None:
    first, second = notify.reloading_lines()
    assert first == "RELOADING=1"
    assert second.startswith("MONOTONIC_USEC=")
    assert int(second.partition("=")[2]) > 0


def test_an_abstract_name() -> None:
    name = f"hotwhisk-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        assert notify.notify("@" + name, notify.STOPPING) is None
        assert manager.recv(1000) == b"STOPPING=1"


def test_a_manager_that_cannot_receive_is_reported(tmp_path: Path) -> None:
    assert "No such file" in str(notify.notify(str(tmp_path / "gone"), notify.READY))
    assert "expected a path or @name" in str(notify.notify("odd", notify.READY))


def test_readiness_on_a_descriptor_is_one_newline_and_the_end() -> None:
    reader, writer = os.pipe()
    assert notify.write_ready(writer) is None
    assert os.read(reader, 10) == b"\n"
    assert os.read(reader, 10) == b""
    os.close(reader)


def test_a_descriptor_that_is_not_there_is_reported() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    assert "--ready-fd" in str(notify.write_ready(writer))
