from __future__ import annotations

import sqlite3

import pytest

from hotwhisk.gateway.store.database import code_of, describe


@pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT])
def test_an_extended_code_means_what_its_code_means(code: int) -> None:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = code
    assert code_of(error) == sqlite3.SQLITE_BUSY
    assert describe(error) == "another program holds it: try again"


def test_an_error_without_a_code_is_shown_as_it_is() -> None:
    assert code_of(sqlite3.OperationalError("odd")) == 0
    assert describe(sqlite3.OperationalError("odd")).startswith("odd; ")
