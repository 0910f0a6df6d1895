from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hotwhisk.gateway.store.database import Database, FilesLost, code_of, describe
from hotwhisk.gateway.store.namespaces import Namespaces


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT])
def test_an_extended_code_means_what_its_code_means(code: int) -> None:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = code
    assert code_of(error) == sqlite3.SQLITE_BUSY
    assert describe(error) == "another program holds it: try again"


def test_an_error_without_a_code_is_shown_as_it_is() -> None:
    assert code_of(sqlite3.OperationalError("odd")) == 0
    assert describe(sqlite3.OperationalError("odd")) == "odd: if it comes again, restore a backup"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(str(tmp_path / "a database?.db"))
    yield opened
    opened.close()


def refuse(database: Database) -> None:
    """Let a write fail as on a full disk."""
    error = sqlite3.OperationalError("full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    with pytest.raises(sqlite3.OperationalError), database.writing():
        raise error


def test_a_path_may_have_any_sign(database: Database, tmp_path: Path) -> None:
    Namespaces(database).ensure("guest")
    assert [each.name for each in Namespaces(database).all()] == ["guest"]
    assert {each.name.partition("-")[0] for each in tmp_path.iterdir()} == {"a database?.db"}


def test_a_write_that_stores_something_ends_a_failure(database: Database) -> None:
    refuse(database)
    assert database.is_failing
    with database.writing() as connection:
        connection.execute("DELETE FROM namespaces")  # there is none, so nothing is written
    assert database.is_failing
    Namespaces(database).ensure("guest")
    assert not database.is_failing


def test_a_check_finds_that_there_is_room_again(database: Database) -> None:
    Namespaces(database).ensure("guest")
    refuse(database)
    database.check()
    assert not database.is_failing


def test_nothing_is_made_in_the_place_of_a_lost_file(database: Database, tmp_path: Path) -> None:
    for file in tmp_path.iterdir():
        file.unlink()
    with pytest.raises(FilesLost), database.reading():
        pass
    with pytest.raises(FilesLost), database.writing():
        pass
    with pytest.raises(FilesLost):
        database.check()
    assert not list(tmp_path.iterdir())


def test_a_write_that_a_loss_overtakes_is_not_acknowledged(
    database: Database, tmp_path: Path
) -> None:
    with pytest.raises(FilesLost), database.writing():
        (tmp_path / "a database?.db").rename(tmp_path / "moved")
