"""``serve FILE --watch``: a save replaces, however it is made; a broken one does not."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.process import control
from tests.support import tree
from tests.support.client import run_once
from tests.support.server import Server
from tests.support.waiting import wait_gone

pytestmark = pytest.mark.slow

SOURCE = "from part import PART\ndef main(event): return {{'version': {0}, 'part': PART}}\n"


def wait_note(server: Server, text: str) -> None:
    """Wait until the server sends that text to its service manager."""
    server._notify.settimeout(10.0)
    while text not in server._notify.recv(4096).decode():
        pass


def ask(server: Server) -> object:
    return json.loads(run_once(server.address, {}).body)


def write(path: Path, text: str) -> None:
    path.write_text(text)


def rename_over(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.swp")
    fresh.write_text(text)
    fresh.replace(path)


def remove_first(path: Path, text: str) -> None:
    path.rename(path.with_name(path.name + "~"))
    path.write_text(text)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "part.py").write_text("PART = 1\n")
    (tmp_path / "hello.py").write_text(SOURCE.format(1))
    return tmp_path / "hello.py"


@pytest.mark.parametrize("save", [write, rename_over, remove_first])
def test_a_save_replaces(file: Path, save: Callable[[Path, str], None]) -> None:
    with Server(str(file), "--watch") as server:
        assert ask(server) == {"version": 1, "part": 1}
        save(file, SOURCE.format(2))
        wait_note(server, "generation 2 current")
        assert ask(server) == {"version": 2, "part": 1}


def test_a_module_beside_and_one_in_a_new_folder(file: Path) -> None:
    with Server(str(file), "--watch") as server:
        file.with_name("part.py").write_text("PART = 2\n")
        wait_note(server, "generation 2 current")
        assert ask(server) == {"version": 1, "part": 2}
        file.with_name("package").mkdir()
        (file.parent / "package" / "__init__.py").write_text("PART = 3\n")
        file.write_text("from package import PART\ndef main(event): return {'part': PART}\n")
        wait_note(server, "generation 3 current")
        assert ask(server) == {"part": 3}
        (file.parent / "package" / "__init__.py").write_text("PART = 40\n")
        wait_note(server, "generation 4 current")
        assert ask(server) == {"part": 40}


def test_a_broken_save_shows_its_error_and_the_current_version_goes_on(file: Path) -> None:
    with Server(str(file), "--watch") as server:
        file.write_text("def main(:\n")
        wait_note(server, "does not compile")
        assert "hello.py does not compile" in server.stderr()
        assert ask(server) == {"version": 1, "part": 1}
        file.write_text(SOURCE.format(3))
        wait_note(server, "STATUS=generation 3 current")
        assert ask(server) == {"version": 3, "part": 1}


def test_a_file_that_is_broken_from_the_start(file: Path) -> None:
    file.write_text("def main(:\n")
    with Server(str(file), "--watch") as server:
        file.write_text(SOURCE.format(1))
        wait_note(server, "STATUS=generation 2 current")
        assert ask(server) == {"version": 1, "part": 1}


def test_a_folder(file: Path) -> None:
    file.rename(file.with_name("__main__.py"))
    with Server(str(file.parent), "--watch") as server:
        file.with_name("part.py").write_text("PART = 2\n")
        wait_note(server, "generation 2 current")
        assert ask(server) == {"version": 1, "part": 2}


def watcher(server: Server) -> int:
    [pid] = [
        pid for pid in server.tree()
        if Path(f"/proc/{pid}/comm").read_text().startswith("hotwhisk:watch")
    ]  # fmt: skip
    return pid


def test_the_watcher_ends_with_the_server_and_keeps_nothing_open(file: Path) -> None:
    with Server(str(file), "--watch") as server:
        pid = watcher(server)
        assert not [name for name in tree.descriptors(pid) if name.startswith("socket:")]
        os.kill(server.pid, signal.SIGKILL)
        assert wait_gone(pid, 10.0)
        server.wait(10.0)


def test_the_server_outlives_its_watcher(file: Path) -> None:
    with Server(str(file), "--watch") as server:
        pid = watcher(server)
        os.kill(pid, signal.SIGKILL)
        assert wait_gone(pid, 10.0)
        assert ask(server) == {"version": 1, "part": 1}
        server.terminate()
        assert server.wait(10.0) == 0


# -- what a fresh start would serve, after any change ------------------------------------------


def make(folder: Path, number: int) -> None:
    """Make a project with a module and a package beside its file, all of one number."""
    (folder / "package" / "deep").mkdir(parents=True)
    (folder / "hello.py").write_text(
        "from part import PART\nfrom package.deep import DEEP\n"
        f"def main(event): return {{'main': {number}, 'part': PART, 'deep': DEEP}}\n"
    )
    (folder / "part.py").write_text(f"PART = {number}\n")
    (folder / "package" / "__init__.py").write_text("")
    (folder / "package" / "deep" / "__init__.py").write_text(f"DEEP = {number}\n")


def all_of(number: int) -> dict[str, int]:
    return {"main": number, "part": number, "deep": number}


def remove_and_make_again(project: Path) -> None:
    shutil.rmtree(project)
    make(project, 2)


def move_and_copy_back(project: Path) -> None:
    away = project.with_name("away")
    project.rename(away)
    shutil.rmtree(away / "package")
    for name in ("hello.py", "part.py"):
        (away / name).unlink()
    make(away, 2)
    shutil.copytree(away, project)


def swap(project: Path) -> None:
    make(project.with_name("other"), 2)
    project.rename(project.with_name("old"))
    project.with_name("other").rename(project)


def remove_what_is_above(project: Path) -> None:
    shutil.rmtree(project.parent)
    project.mkdir(parents=True)
    make(project, 2)


def check_out(project: Path) -> None:
    """Write new files and rename them over the old ones, as git does."""
    make(project / ".fresh", 2)
    for name in ("hello.py", "part.py", "package/deep/__init__.py"):
        (project / ".fresh" / name).replace(project / name)


@pytest.mark.parametrize(
    "change",
    [remove_and_make_again, move_and_copy_back, swap, remove_what_is_above, check_out],
)
@pytest.mark.parametrize("given", ["file", "folder"])
def test_it_serves_what_a_fresh_start_would(
    tmp_path: Path, change: Callable[[Path], None], given: str
) -> None:
    project = tmp_path / "above" / "project"
    make(project, 1)
    if given == "folder":
        (project / "__main__.py").write_text("from hello import main\n")
    served = project / "hello.py" if given == "file" else project
    with Server(str(served), "--watch") as server:
        assert ask(server) == all_of(1)
        change(project)
        if given == "folder":
            (project / "__main__.py").write_text("from hello import main\n")
        wait_answer(server, all_of(2))
        (project / "part.py").write_text("PART = 3\n")
        wait_answer(server, {**all_of(2), "part": 3})


def wait_answer(server: Server, expected: object) -> None:
    """
    Send a request after each replacement, good or failed, until the answer is the
    expected one.
    """
    while ask(server) != expected:
        wait_note(server, "current")


def link_file(project: Path, given: Path) -> Path:
    link = given / "hello.py"
    link.symlink_to(project / "hello.py")
    return link


def link_folder(project: Path, given: Path) -> Path:
    (given / "link").symlink_to(project)
    return given / "link" / "hello.py"


def link_above(project: Path, given: Path) -> Path:
    (given / "link").symlink_to(project.parent)
    return given / "link" / "project" / "hello.py"


def link_to_link(project: Path, given: Path) -> Path:
    (given / "second").symlink_to(project)
    (given / "first").symlink_to("second")
    return given / "first" / "hello.py"


def link_inside(project: Path, given: Path) -> Path:
    shutil.copytree(project, given / "own")
    for name in ("part.py", "package"):
        there = given / "own" / name
        shutil.rmtree(there) if there.is_dir() else there.unlink()
        there.symlink_to(project / name)
    return given / "own" / "hello.py"


LINKS = [link_file, link_folder, link_above, link_to_link, link_inside]


@pytest.mark.parametrize("link", LINKS)
def test_a_change_behind_a_link_is_seen(tmp_path: Path, link: Callable[[Path, Path], Path]) -> None:
    project, given = tmp_path / "real" / "project", tmp_path / "given"
    make(project, 1)
    given.mkdir()
    with Server(str(link(project, given)), "--watch") as server:
        assert ask(server) == all_of(1)
        (project / "part.py").write_text("PART = 2\n")
        wait_answer(server, {**all_of(1), "part": 2})
        rename_over(project / "package" / "deep" / "__init__.py", "DEEP = 3\n")
        wait_answer(server, {**all_of(1), "part": 2, "deep": 3})


def test_a_link_that_is_moved_is_seen(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        make(tmp_path / f"release-{number}", number)
    link = tmp_path / "current"
    link.symlink_to("release-1")
    with Server(str(link / "hello.py"), "--watch") as server:
        assert ask(server) == all_of(1)
        for number in (2, 3):
            fresh = tmp_path / "fresh"
            fresh.symlink_to(f"release-{number}")
            fresh.replace(link)
            wait_answer(server, all_of(number))
        (tmp_path / "release-3" / "part.py").write_text("PART = 4\n")
        wait_answer(server, {**all_of(3), "part": 4})


def test_a_save_of_what_the_version_does_not_use_or_of_the_same_bytes_is_none(file: Path) -> None:
    with Server(str(file), "--watch") as server:
        for number in range(15):
            file.with_name("unrelated.py").write_text(f"NUMBER = {number}\n")
            file.with_name("notes.txt").write_text(f"{number}\n")
            rename_over(file, SOURCE.format(1))
            rename_over(file.with_name("part.py"), "PART = 1\n")
        assert ask(server) == {"version": 1, "part": 1}
        rename_over(file.with_name("part.py"), "PART = 2\n")
        wait_note(server, "generation 2 current")
        assert ask(server) == {"version": 1, "part": 2}
        assert control.status(server)["replacements"] == 1


def test_the_line_of_a_replacement_names_what_changed(file: Path) -> None:
    with Server(str(file), "--watch") as server:
        file.with_name("part.py").write_text("PART = 2\n")
        wait_note(server, "generation 2 current")
        assert re.search(
            r"^hotwhisk: generation 2 is current \(sha256:\S+…\): part\.py changed$",
            server.stderr(),
            re.MULTILINE,
        )
        file.with_name("part.py").write_text("PART = undefined\n")
        wait_note(server, "NameError")
        assert "hotwhisk: part.py changed: the code raised NameError" in server.stderr()


def test_the_end_of_the_watcher_is_told(file: Path) -> None:
    with Server(str(file), "--watch") as server:
        pid = watcher(server)
        os.kill(pid, signal.SIGKILL)
        assert wait_gone(pid, 10.0)
        assert ask(server) == {"version": 1, "part": 1}
        control.wait_until(
            server, lambda _: "--watch ended: changes are not seen" in server.stderr(), "the line"
        )


# -- what is gone, and what does not end --------------------------------------------------------


@pytest.mark.parametrize("again", [SOURCE.format(1), SOURCE.format(2)])
def test_a_file_that_is_gone_is_told_once_and_loaded_when_it_is_back(
    file: Path, again: str
) -> None:
    with Server(str(file), "--watch") as server:
        file.unlink()
        control.wait_until(
            server,
            lambda _: "hello.py is gone or unreadable, and its last version" in server.stderr(),
            "told",
        )
        file.with_name("part.py").write_text("PART = 2\n")
        assert ask(server) == {"version": 1, "part": 1}
        file.write_text(again)
        wait_note(server, "generation 2 current")
        assert ask(server) == {"version": int("2" in again) + 1, "part": 2}
        assert server.stderr().count("is gone") == 1


def test_a_save_that_is_made_in_two_steps_tells_of_no_file_that_is_gone(file: Path) -> None:
    with Server(str(file), "--watch") as server:
        for number in range(2, 12):
            remove_first(file, SOURCE.format(number))
        wait_answer(server, {"version": 11, "part": 1})
        assert "is gone" not in server.stderr()


HANGS = "import threading\nopen({!r}, 'w').close()\nthreading.Event().wait()\n"


@pytest.mark.parametrize("first", [True, False])
def test_a_save_does_not_wait_for_an_import_of_the_former_save_that_never_ends(
    file: Path, first: bool
) -> None:
    begun = file.with_name("begun")
    os.mkfifo(begun)

    def mend() -> None:
        begun.read_text()  # ends when the import has begun
        rename_over(file, SOURCE.format(2))

    mending = threading.Thread(target=mend, daemon=True)
    mending.start()
    if first:
        file.write_text(HANGS.format(str(begun)))
    with Server(str(file), "--watch") as server:
        if not first:
            file.write_text(HANGS.format(str(begun)))
        mending.join(20.0)
        wait_answer(server, {"version": 2, "part": 1})
        assert "because a newer save waits" in server.stderr()
        assert "not ready within" not in server.stderr()


def test_saves_that_come_faster_than_the_import_replace_while_they_come(file: Path) -> None:
    slow = "import time\ntime.sleep(0.5)\n"
    enough = threading.Event()

    def save() -> None:
        for number in itertools.takewhile(lambda _: not enough.wait(0.3), itertools.count(2)):
            rename_over(file, slow + SOURCE.format(number))

    with Server(str(file), "--watch") as server:
        saving = threading.Thread(target=save)
        saving.start()
        try:
            for _ in range(3):
                wait_note(server, "current")
            assert saving.is_alive()
        finally:
            enough.set()
            saving.join()
