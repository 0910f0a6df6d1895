"""The state folder: what is written, what is read again, and folders that cannot be used."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hotwhisk.server.state_folder import (
    DAMAGED,
    HISTORY,
    LOCK,
    StateFolder,
    content_path,
    open_state,
    read_versions,
    write_state,
)
from hotwhisk.supervisor.artifacts import StoredArtifact, UploadedArtifact
from hotwhisk.supervisor.commands import Candidate, Origin
from hotwhisk.supervisor.history import History

DIGEST = "sha256:" + "ab" * 32


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    opened = open_state(str(tmp_path / "deep" / "state"))
    assert not opened.problem
    return opened


def posted(text: bytes) -> Candidate:
    memory = os.memfd_create("posted")
    os.write(memory, text)
    return Candidate(UploadedArtifact(memory, 0, len(text)))


def history_of(*texts: bytes) -> History:
    history = History()
    for number, text in enumerate(texts, 1):
        history.add(posted(text), number, DIGEST)
    return history


def save(folder: StateFolder, history: History) -> None:
    """Write a history, as `HistoryWriter` does."""
    for number, size in write_state(folder.path, history.contents(), history.versions):
        history.stored(number, size, StoredArtifact(content_path(folder.path, number), Origin()))


def names(folder: StateFolder) -> set[str]:
    return set(os.listdir(folder.path))


def test_what_was_written_is_read_again(folder: StateFolder) -> None:
    save(folder, history_of(b"one", b"two"))
    assert names(folder) == {HISTORY, LOCK, "1.version", "2.version"}
    versions = read_versions(folder.path)
    assert [each.number for each in versions] == [1, 2]
    assert all(isinstance(each.content.file, StoredArtifact) for each in versions)
    with open(content_path(folder.path, 2), "rb") as file:
        assert file.read().endswith(b"\ntwo")


def test_only_the_owner_can_read_it(folder: StateFolder) -> None:
    save(folder, history_of(b"secret"))
    assert stat.S_IMODE(os.stat(folder.path).st_mode) == 0o700
    for name in names(folder):
        assert stat.S_IMODE(os.stat(f"{folder.path}/{name}").st_mode) == 0o600


def test_what_no_version_names_is_removed_and_nothing_else(folder: StateFolder) -> None:
    for name in ("7.version", ".8.version.new", "notes.txt", "x.version"):
        Path(folder.path, name).write_text("left")
    Path(folder.path, "9.version").mkdir()
    save(folder, history_of(b"one"))
    assert names(folder) == {HISTORY, LOCK, "1.version", "notes.txt", "x.version"}


def test_a_content_is_written_once(folder: StateFolder) -> None:
    history = history_of(b"one")
    save(folder, history)
    before = os.stat(content_path(folder.path, 1))
    history.add(posted(b"two"), 2, DIGEST)
    save(folder, history)
    assert os.stat(content_path(folder.path, 1)).st_ino == before.st_ino


def test_a_content_that_is_missing_or_cut_is_not_kept(folder: StateFolder) -> None:
    save(folder, history_of(b"one", b"two"))
    os.unlink(content_path(folder.path, 1))
    os.truncate(content_path(folder.path, 2), 9)
    versions = read_versions(folder.path)
    assert not any(each.content.is_kept for each in versions)


@pytest.mark.parametrize("text", [b"", b"{}", b"\0" * 4096, b"x" * 2_000_000], ids=len)
def test_a_damaged_history_is_put_aside(folder: StateFolder, text: bytes) -> None:
    Path(folder.path, HISTORY).write_bytes(text)
    os.close(folder.lock)
    opened = open_state(folder.path)
    assert opened.problem.startswith(f"{HISTORY} is damaged, and now in the folder {DAMAGED}: it ")
    assert (opened.versions, opened.lock >= 0) == ((), True)
    assert names(folder) == {LOCK, DAMAGED}
    os.close(opened.lock)
    assert not open_state(folder.path).problem


def damage(folder: StateFolder) -> StateFolder:
    """Damage the history, and open the folder again."""
    Path(folder.path, HISTORY).write_bytes(b"{")
    os.close(folder.lock)
    return open_state(folder.path)


def test_a_damaged_history_can_be_repaired_after_others_were_written(folder: StateFolder) -> None:
    save(folder, history_of(b"one", b"two"))
    text = Path(folder.path, HISTORY).read_bytes()
    folder = damage(folder)
    save(folder, history_of(b"new"))
    assert names(folder) == {HISTORY, LOCK, DAMAGED, "1.version"}
    aside = Path(folder.path, DAMAGED)
    assert {each.name for each in aside.iterdir()} == {HISTORY, "1.version", "2.version"}
    assert (aside / HISTORY).read_bytes() == b"{"
    (aside / HISTORY).write_bytes(text)
    for each in aside.iterdir():
        each.rename(Path(folder.path, each.name))
    versions = read_versions(folder.path)
    assert [(each.number, each.content.is_kept) for each in versions] == [(1, True), (2, True)]


def test_only_the_latest_damaged_history_is_left(folder: StateFolder) -> None:
    save(folder, history_of(b"one", b"two", b"three"))
    folder = damage(folder)
    save(folder, history_of(b"new"))
    folder = damage(folder)
    assert set(os.listdir(f"{folder.path}/{DAMAGED}")) == {HISTORY, "1.version"}
    assert b"new" in Path(folder.path, DAMAGED, "1.version").read_bytes()


def test_what_was_begun_to_be_put_aside_is_put_aside_whole(folder: StateFolder) -> None:
    save(folder, history_of(b"one", b"two"))
    aside = Path(folder.path, DAMAGED)
    aside.mkdir()
    Path(folder.path, "1.version").rename(aside / "1.version")
    damage(folder)
    assert {each.name for each in aside.iterdir()} == {HISTORY, "1.version", "2.version"}


def test_a_history_of_a_later_hotwhisk_is_left_alone(folder: StateFolder) -> None:
    text = '{"hotwhisk_history": 2}'
    Path(folder.path, HISTORY).write_text(text)
    os.close(folder.lock)
    opened = open_state(folder.path)
    assert opened == StateFolder(
        folder.path, problem=f"{HISTORY}: it was written by a later hotwhisk"
    )
    assert Path(folder.path, HISTORY).read_text() == text


def test_a_history_that_is_no_file_is_told(folder: StateFolder) -> None:
    os.mkfifo(f"{folder.path}/{HISTORY}")
    os.close(folder.lock)
    opened = open_state(folder.path)
    assert opened == StateFolder(folder.path, problem=f"{HISTORY} cannot be read: it is not a file")


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    opened = open_state(str(tmp_path))
    assert opened.problem.startswith("it holds something else (thesis.txt)")
    assert opened.lock == -1
    assert os.listdir(tmp_path) == ["thesis.txt"]


def test_a_fresh_file_system_is_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    assert not open_state(str(tmp_path)).problem


def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert open_state(str(tmp_path)).problem.startswith("others can write to it")


def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    place, owner = "/usr", 0
    if os.getuid() == 0:
        place, owner = str(tmp_path), 4711
        os.chown(place, owner, owner)
    assert open_state(place).problem == f"it belongs to another user (uid {owner})"


@pytest.mark.parametrize("path", [__file__, f"{__file__}/below"])
def test_what_is_no_folder_is_told(path: str) -> None:
    opened = open_state(path)
    assert opened.problem
    assert opened.lock == -1


def test_a_second_server_finds_the_folder_locked(folder: StateFolder) -> None:
    assert open_state(folder.path).problem == "another server uses it"
    os.close(folder.lock)
    assert open_state(folder.path).lock >= 0
