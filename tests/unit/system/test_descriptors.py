"""Descriptors that a queue uses are closed by their last user."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotwhisk.system.descriptors import Descriptors, close_others, of_libffi


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.fixture
def descriptor() -> int:
    return os.open(os.devnull, os.O_RDONLY)


def test_a_descriptor_that_is_not_used_is_closed_at_once(descriptor: int) -> None:
    Descriptors().close(descriptor)
    assert not is_open(descriptor)


def test_a_descriptor_in_use_is_closed_after_its_last_use(descriptor: int) -> None:
    descriptors = Descriptors()
    descriptors.use([descriptor])
    descriptors.use([descriptor])
    descriptors.close(descriptor)
    descriptors.release([descriptor])
    assert is_open(descriptor)
    descriptors.release([descriptor])
    assert not is_open(descriptor)


def test_the_end_of_a_use_closes_nothing_that_its_owner_keeps(descriptor: int) -> None:
    descriptors = Descriptors()
    descriptors.use([descriptor])
    descriptors.release([descriptor])
    assert is_open(descriptor)
    descriptors.close(descriptor)
    assert not is_open(descriptor)


def test_a_file_of_libffi_is_found_and_stays_open_in_a_worker(tmp_path: Path) -> None:
    file = tmp_path / "libffi.so.8.5.0"
    file.write_bytes(b"")
    with file.open("rb") as library, (tmp_path / "other").open("wb") as other:
        assert library.fileno() in of_libffi()
        assert other.fileno() not in of_libffi()
        pid = os.fork()
        if not pid:
            close_others([library.fileno()])
            os._exit(is_open(library.fileno()) and not is_open(other.fileno()))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
