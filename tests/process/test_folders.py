"""Folders that actions leave behind, and files that lie in the place of a server's own folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hotwhisk.system.removal import make_accessible
from tests.process import control
from tests.support.archives import tar_of, zip_of
from tests.support.client import init_once, run_once
from tests.support.leftover import Again
from tests.support.server import HOTWHISK, ROOT, Server
from tests.support.trees import NEST, TAKE_RIGHTS, nest

pytestmark = pytest.mark.slow

OTHER = 65534
"""A user without any rights; the tests may run as root, who needs no rights."""


def remove_as_other(path: Path) -> None:
    """Remove a folder in a process that is not root, by the same code."""
    code = (
        "import os, sys\n"
        "from hotwhisk.system.removal import remove\n"
        "if os.getuid() == 0:\n"  # not before: it may not be able to read the code
        f"    os.setgid({OTHER}); os.setuid({OTHER})\n"
        "assert remove(sys.argv[1])\n"
    )
    source = ROOT / "src"
    subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            f"import sys; sys.path.insert(0, {str(source)!r})\n{code}",
            path,
        ],
        check=True,
    )


def give_away(top: Path) -> None:
    if os.getuid() == 0:
        for folder, _, files in os.walk(top):
            os.chown(folder, OTHER, OTHER)
            for name in files:
                os.chown(f"{folder}/{name}", OTHER, OTHER)


@pytest.mark.parametrize("mode", [0, 0o100, 0o400, 0o500])
def test_what_is_ours_and_without_rights_is_removed_by_a_user_without_any(mode: int) -> None:
    # Not below tmp_path: another user could not get there.
    with tempfile.TemporaryDirectory() as made:
        os.chmod(made, 0o755)
        top = Path(made, "top")
        nest(top / "tree", 3)
        give_away(top)
        for name in ("tree/d/d/d", "tree/d/d", "tree/d", "tree", ""):
            os.chmod(top / name, mode)
        remove_as_other(top / "tree")
        make_accessible(str(top)) if os.getuid() else os.chmod(top, 0o700)
        assert list(top.iterdir()) == []


def test_what_cannot_be_removed_stays_and_all_else_goes(tmp_path: Path) -> None:
    if os.getuid():
        pytest.fail("needs root, to make a file that another user cannot remove")
    with tempfile.TemporaryDirectory() as made:
        os.chmod(made, 0o777)
        top = Path(made, "top")
        for name in ("mine/a", "theirs/b", "mine/c/d"):
            nest(top / name, 1)
        give_away(top)
        os.chown(top / "theirs", 0, 0)  # a folder of root's, that is not empty
        remove_as_other(top)
        assert [each.name for each in top.iterdir()] != []
        assert [path.name for path in top.rglob("last")] == ["last"]


def test_a_mount_point_is_not_entered(tmp_path: Path) -> None:
    """A folder that is mounted inside, from the same file system: only its name says that it is."""
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    nest(outside, 1)
    nest(inside / "deep", 2)
    (inside / "mounted").mkdir()
    source = ROOT / "src"
    code = f"import sys; sys.path.insert(0, {str(source)!r}); from hotwhisk.system.removal import remove; assert remove(sys.argv[1])"
    script = 'mount --bind "$1" "$2/mounted" && "$3" -I -c "$4" "$2"'
    subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh",
         outside, inside, sys.executable, code],
        check=True,
    )  # fmt: skip
    assert (outside / "d" / "last").exists()
    assert [each.name for each in inside.iterdir()] == ["mounted"]


# -- what an action leaves in its own folder --------------------------------------------------

NESTING = NEST + "def main(event):\n    nest(event['levels'])\n    return {}\n"
TAKING = TAKE_RIGHTS + "def main(event):\n    take_rights()\n    return {}\n"


def replace_and_stop(server: Server, event: dict[str, object], source: str) -> None:
    """Let one version leave something behind; the next ones are served, and the stop is clean."""
    server.post(source)
    assert run_once(server.address, event).status == 200
    for number in (2, 3, 4):
        server.replace(number)
        assert run_once(server.address, {}).value("version") == number
    left = server.run_dir / str(server.port) / "1"
    found = control.wait_until(server, lambda _: not left.exists(), "the folder is gone", 30.0)
    assert found["deaths"] == []
    server.terminate()
    assert server.wait(10.0) == 0
    assert "Traceback" not in server.stderr()
    assert list(server.run_dir.iterdir()) == []


def test_an_action_that_nests_folders_harms_no_version_after_it(server: Server) -> None:
    replace_and_stop(server, {"levels": 1000}, NESTING)


def test_a_stop_does_not_wait_for_deep_folders(server: Server) -> None:
    server.post(NESTING)
    assert run_once(server.address, {"levels": 1000}).status == 200
    server.terminate()
    assert server.wait(10.0) == 0
    assert server.stderr().count("\n") <= 3


def test_an_action_that_takes_its_folder_the_rights_away(server: Server) -> None:
    replace_and_stop(server, {}, TAKING)


def test_a_version_is_loaded_while_a_large_folder_is_removed(server: Server) -> None:
    server.post(
        "import os\n"
        "def main(event):\n"
        "    for name in range(20_000): os.symlink('nowhere', str(name))\n"
        "    return {}\n"
    )
    assert run_once(server.address, {}, timeout=40.0).status == 200  # a busy disk takes long
    for number in range(2, 12):
        server.replace(number)
        assert run_once(server.address, {}).value("version") == number
    left = server.run_dir / str(server.port) / "1"
    control.wait_until(server, lambda _: not left.exists(), "the folder is gone")


# -- archives ---------------------------------------------------------------------------------

MAIN = "def main(event): return {}\n"


@pytest.mark.parametrize("pack", [zip_of, tar_of])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("d/" * 1000 + "last", "lies 1001 folders deep; the limit is 100"),
        ("a" * 256, "is too long"),
        (("a" * 200 + "/") * 15 + "last", "is too long"),
    ],
)
def test_an_archive_that_is_too_deep_or_long_is_refused(
    server: Server, pack: Callable[[dict[str, str]], bytes], name: str, expected: str
) -> None:
    response = init_once(server.address, pack({"__main__.py": MAIN, name: ""}))
    assert response.status == 502, response
    assert expected in str(response.error)
    assert str(server.run_dir) not in str(response.error)
    deep = pack({"__main__.py": MAIN, "d/" * 99 + "last": ""})
    assert init_once(server.address, deep).status == 200


# -- what lies at the place of the run folder, or of a server's own in it ---------------------


def leave_deep(run_dir: Path, place: str) -> None:
    nest(run_dir / place / "1" / "code", 1000)


def leave_without_rights(run_dir: Path, place: str) -> None:
    nest(run_dir / place / "1" / "code", 2)
    for name in ("1/code/d/d", "1/code/d", "1/code", "1", ""):
        (run_dir / place / name).chmod(0)


def leave_file(run_dir: Path, place: str) -> None:
    (run_dir / place).write_text("")


def leave_folders_for_files(run_dir: Path, place: str) -> None:
    nest(run_dir / f"{place}.sock", 2)
    nest(run_dir / f"{place}.lock", 2)


def leave_dangling_links(run_dir: Path, place: str) -> None:
    for name in (place, f"{place}.sock", f"{place}.lock"):
        (run_dir / name).symlink_to("/nowhere/at/all")


def leave_aside(run_dir: Path, place: str) -> None:
    nest(run_dir / f".{place}.0123456789ab", 2)


@pytest.mark.parametrize(
    "prepare",
    [
        leave_deep,
        leave_without_rights,
        leave_file,
        leave_folders_for_files,
        leave_dangling_links,
        leave_aside,
    ],
)
def test_the_next_start_works_and_removes_what_was_left(
    prepare: Callable[[Path, str], None],
) -> None:
    with Again(prepare) as server:
        server.replace(1)
        assert run_once(server.address, {}).value("version") == 1
        left = server.run_dir / str(server.port) / "0"
        control.wait_until(server, lambda _: not left.exists(), "the folder is gone")
        server.terminate()
        assert server.wait(10.0) == 0
        assert list(server.run_dir.iterdir()) == []
        assert server.stderr().count("\n") <= 4


def test_nothing_behind_a_link_at_the_place_of_a_server_is_removed(tmp_path: Path) -> None:
    nest(tmp_path / "precious", 2)

    def link(run_dir: Path, place: str) -> None:
        (run_dir / place).symlink_to(tmp_path / "precious")

    with Again(link) as server:
        server.replace(1)
        assert run_once(server.address, {}).value("version") == 1
    assert [each.name for each in tmp_path.rglob("*")] == ["precious", "d", "d", "last"]


def failure(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [*HOTWHISK, *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("what", ["link", "folder"])
def test_a_run_folder_of_another_user_is_refused(tmp_path: Path, what: str) -> None:
    if os.getuid():
        pytest.fail("needs root, to make a folder of another user")
    nest(tmp_path / "mine", 1)
    place = tmp_path / "run"
    place.symlink_to(tmp_path / "mine") if what == "link" else place.mkdir()
    os.chown(place, OTHER, OTHER, follow_symlinks=False)
    code, text = failure("--port", "0", "--run-dir", str(place))
    assert code == 1
    assert f"another user (uid {OTHER})" in text or f"another user's (uid {OTHER})" in text
    assert "--run-dir" in text
    assert sorted(each.name for each in (tmp_path / "mine").iterdir()) == ["d"]


def test_a_run_folder_without_rights_of_our_own_is_used(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    run_dir.chmod(0o500)
    with Server(command=(*HOTWHISK, "--run-dir", str(run_dir))) as server:
        server.replace(1)
    assert control.mode(run_dir) == 0o700


def test_a_run_folder_that_two_containers_share_is_noticed(server: Server) -> None:
    server.replace(1)
    # It has the same port, and sees none of our processes.
    contained = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork")
    script = 'ip link set lo up && exec "$@"'
    where = ("--run-dir", str(server.run_dir), "--port", str(server.port))
    done = subprocess.run(
        [*contained, "sh", "-c", script, "sh", *HOTWHISK, *where],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1, done
    assert "is in use by another server of that port" in done.stderr
    assert "give each server its own --run-dir" in done.stderr
    assert run_once(server.address, {}).value("version") == 1
    assert (server.run_dir / str(server.port) / "1").is_dir()
