"""Data that cannot be used: a full or a read-only disk, a damaged or a newer database, a port."""

from __future__ import annotations

import shlex
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import HOTWHISK_UP, OWN_MOUNTS, Answer, GatewayProcess

pytestmark = pytest.mark.slow

HELLO = "def main(args):\n    return {'hello': args.get('name', 'you')}\n"


def on_disk(folder: Path, size: str, prepare: str) -> tuple[str, ...]:
    """Return a command that runs another with a small disk of its own on a folder."""
    if shutil.which("unshare") is None:
        pytest.fail("unshare is needed to mount a small disk: apt-get install util-linux")
    folder.mkdir()
    mount = f'mount -t tmpfs -o size={size},mode=700 tmpfs "$0"; cd "$0"'
    return (*OWN_MOUNTS, "sh", "-ec", f'{mount}; {prepare}; cd /; exec "$@"', str(folder))


def refusal(*command: str) -> str:
    """Return what a gateway that cannot start says."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    return done.stderr


class OnSmallDisk(GatewayProcess):
    """A gateway whose data is on a disk of 4 MB, which this test sees through the process."""

    def __init__(self, folder: Path) -> None:
        key = shlex.join([*HOTWHISK_UP, "key", "--data", str(folder / "disk" / "data")])
        prepare = f"mkdir -m 700 data; {key} >../key"
        command = (*on_disk(folder / "disk", "4m", prepare), *HOTWHISK_UP)
        super().__init__(data=folder / "disk", command=command)
        self.folder = folder  # the log is not on the small disk

    def _key(self) -> str:
        return (self.folder / "key").read_text().strip()

    @property
    def filler(self) -> Path:
        return Path(f"/proc/{self.process.pid}/root{self.data.parent}/filler")


@pytest.fixture
def crowded() -> Iterator[OnSmallDisk]:
    # Not tmp_path, which may be too long for the socket of a server.
    with (
        tempfile.TemporaryDirectory(prefix="hotwhisk-test-") as folder,
        OnSmallDisk(Path(folder)) as gateway,
    ):
        yield gateway


def test_a_full_disk_is_answered_and_the_gateway_goes_on(crowded: OnSmallDisk) -> None:
    crowded.create("hello", HELLO)
    assert crowded.invoke("hello")["response"]["result"] == {"hello": "you"}
    with pytest.raises(OSError, match="No space left"):
        crowded.filler.write_bytes(b"x" * 5_000_000)
    big = {"exec": {"kind": "python:3", "code": HELLO + "#" * 400_000}}
    refused = crowded.api("PUT", "actions/big", big)
    assert refused.status == 507, refused
    assert "the disk is full: make room, then try again" in refused.json["error"]
    assert crowded.api("GET", "actions/hello").json["name"] == "hello"
    crowded.wait_line("PUT failed: The database refused this request: the disk is full", 10)
    expect_not_ready(crowded)
    crowded.filler.unlink()
    assert crowded.request("GET", "/readyz").status == 200
    assert crowded.api("PUT", "actions/big", big).status == 200
    assert crowded.invoke("big")["response"]["result"] == {"hello": "you"}


def expect_not_ready(gateway: GatewayProcess) -> None:
    ready = gateway.request("GET", "/readyz")
    assert ready.status == 503
    assert ready.content == (
        b"the database cannot be used: the disk is full: make room, then try again\n"
    )


MARK = """
def main(args):
    with open(args["at"], "a") as file:
        file.write(args["letter"])
    return {}
"""


def test_a_call_that_a_full_disk_keeps_no_record_of(crowded: OnSmallDisk) -> None:
    crowded.create("mark", MARK)
    mark = crowded.folder / "mark"

    def call(letter: str) -> Answer:
        argument = {"at": str(mark), "letter": letter, "ballast": "x" * 400_000}
        return crowded.api("POST", "actions/mark?blocking=true", argument)

    assert call("a").status == 200
    with pytest.raises(OSError, match="No space left"):
        crowded.filler.write_bytes(b"x" * 5_000_000)
    ran = call("b")
    assert ran.status == 507, ran
    said = ran.json["error"]
    assert said.startswith("The action has run, but its record (activation ")
    assert said.endswith(
        "could not be stored: the disk is full. If it is sent again, it runs again."
    )
    crowded.wait_line("The action has run, but its record", 10)
    refused = call("c")
    assert refused.status == 507
    assert "the disk is full: make room, then try again" in refused.json["error"]
    expect_not_ready(crowded)
    crowded.filler.unlink()
    assert call("d").status == 200
    assert mark.read_text() == "abd"
    assert crowded.request("GET", "/readyz").status == 200
    assert "Traceback" not in crowded.stderr()


def test_a_disk_that_is_full_at_the_start_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    command = (*on_disk(folder, "8k", "mkdir -m 700 data"), *HOTWHISK_UP, "--port", "0")
    said = refusal(*command, "--data", str(folder / "data"))
    assert "is full: make room, then try again" in said


def test_a_read_only_disk_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    prepare = "mkdir -m 700 data; mount -o remount,ro ."
    command = (*on_disk(folder, "1m", prepare), *HOTWHISK_UP, "--port", "0")
    said = refusal(*command, "--data", str(folder / "data"))
    assert "it is on a disk that is read-only: give --data FOLDER on another" in said


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "hotwhisk.db").write_bytes(b"this is no database" * 500)
    said = refusal(*HOTWHISK_UP, "--port", "0", "--data", str(tmp_path))
    assert f"{tmp_path}/hotwhisk.db cannot be used: it is damaged" in said
    assert "restore a backup" in said


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "hotwhisk.db")
    connection.execute("PRAGMA user_version=999")
    connection.close()
    said = refusal(*HOTWHISK_UP, "--port", "0", "--data", str(tmp_path))
    assert f"a newer hotwhisk has written {tmp_path}/hotwhisk.db: install that one" in said


def test_a_second_gateway_and_a_taken_port_are_named(tmp_path: Path) -> None:
    with GatewayProcess(data=tmp_path) as gateway:
        said = refusal(*HOTWHISK_UP, "--port", "0", "--data", str(gateway.data))
        assert f"another hotwhisk uses {gateway.data} and serves on {gateway.url}" in said
        port, other = str(gateway.port), str(tmp_path / "other")
        said = refusal(*HOTWHISK_UP, "--port", port, "--data", other)
        assert f"port {port} is taken; stop what listens there, or try --port 0" in said


def test_a_missing_library_is_named() -> None:
    script = (
        "import sys; sys.modules['uvicorn'] = None; from hotwhisk.cli import main; "
        "sys.exit(main(['up']))"
    )
    done = subprocess.run(
        [HOTWHISK_UP[0], "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == (
        "hotwhisk: hotwhisk up needs the library uvicorn: "
        "pip install '.[up]' in a clone of hotwhisk\n"
    )


def test_a_path_that_leaves_no_room_for_a_socket_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / ("é" * 40)
    said = refusal(*HOTWHISK_UP, "--port", "0", "--data", str(folder))
    assert "is too long for the paths of sockets below it; give --data FOLDER" in said
