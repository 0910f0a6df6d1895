"""
The memory files of workers: their owners, and which of a worker's files are kept after
its exit.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator

import pytest

from hotwhisk.ipc.messages import ProtocolError
from hotwhisk.supervisor.spill_files import LARGEST, MARGIN, NO_SLOT, SpillFiles

WORKER, OTHER = 3, 4


def memory_file(size: int = 100) -> int:
    descriptor = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    return descriptor


@pytest.fixture
def files() -> Iterator[SpillFiles]:
    files = SpillFiles(4)
    yield files
    for spill in list(files._files):
        files.close(spill)


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_a_file_has_one_owner(files: SpillFiles) -> None:
    files.add(7, memory_file(), WORKER)
    assert files.holds(7, 100, WORKER, 0)
    assert not files.holds(7, 100, OTHER, 0)
    assert not files.holds(8, 100, WORKER, 0)
    for wrong in (lambda: files.close_own(7, OTHER), lambda: files.take(7, OTHER, 0)):
        with pytest.raises(ProtocolError, match="memory file 7 is not its own"):
            wrong()
    files.close_own(7, WORKER)
    assert 7 not in files


def test_a_length_beyond_the_file_is_not_believed(files: SpillFiles) -> None:
    files.add(7, memory_file(100), WORKER)
    assert not files.holds(7, 101, WORKER, 0)
    with pytest.raises(ProtocolError, match="has 100 bytes, not 101"):
        files.take(7, WORKER, 101)
    descriptor = files.take(7, WORKER, 100)
    assert is_open(descriptor)
    os.close(descriptor)


def test_a_file_too_large_to_be_a_request_is_not_handed_on(files: SpillFiles) -> None:
    files.add(7, memory_file(LARGEST + 1), WORKER)
    assert not files.holds(7, 100, WORKER, 0)


@pytest.mark.parametrize("seal", [fcntl.F_SEAL_WRITE, fcntl.F_SEAL_GROW, 0x10])
def test_a_file_that_the_next_worker_could_not_write_or_grow_is_refused(
    files: SpillFiles, seal: int
) -> None:
    descriptor = memory_file()
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seal)
    with pytest.raises(ProtocolError, match="has the seals"):
        files.add(7, descriptor, WORKER)
    assert 7 not in files
    os.close(descriptor)


def test_no_seal_can_be_added_later(files: SpillFiles) -> None:
    descriptor = memory_file()
    files.add(7, descriptor, WORKER)
    with pytest.raises(PermissionError):
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)


def test_a_file_that_can_only_be_read_is_refused(files: SpillFiles) -> None:
    writable = memory_file()
    descriptor = os.open(f"/proc/self/fd/{writable}", os.O_RDONLY | os.O_CLOEXEC)
    with pytest.raises(ProtocolError, match="cannot be sealed"):
        files.add(7, descriptor, WORKER)
    os.close(descriptor)
    os.close(writable)


def test_what_is_handed_on_is_no_longer_its_first_workers(files: SpillFiles) -> None:
    files.add(7, memory_file(), WORKER)
    files.pass_on(7, 0, OTHER)
    assert not files.holds(7, 100, WORKER, 1), "one file for two connections"
    with pytest.raises(ProtocolError):
        files.close_own(7, WORKER)
    files.close_own(7, OTHER)


def test_what_a_dead_worker_left_belongs_to_one_connection(files: SpillFiles) -> None:
    kept, dropped = memory_file(), memory_file()
    files.add(7, kept, WORKER)
    files.add(8, dropped, WORKER)
    files.close_of_worker(WORKER, {7: 2})
    assert not is_open(dropped)
    assert files.holds(7, 100, NO_SLOT, 2)
    assert not files.holds(7, 100, NO_SLOT, 1)
    assert not files.holds(7, 100, WORKER, 1), "the slot has another worker now"
    files.pass_on(7, 2, OTHER)
    assert not files.holds(7, 100, NO_SLOT, 2)
    assert files.holds(7, 100, OTHER, 5)


def test_it_goes_with_its_connection(files: SpillFiles) -> None:
    kept = memory_file()
    files.add(7, kept, WORKER)
    files.close_of_worker(WORKER, {7: 2})
    files.forget(1)
    assert is_open(kept)
    files.forget(2)
    assert not is_open(kept)
    files.forget(2)


def test_the_worker_with_most_is_found_when_there_are_too_many(files: SpillFiles) -> None:
    assert files.largest_owner() == NO_SLOT
    files.add(1, memory_file(), OTHER)
    for spill in range(2, 4 + MARGIN + 1):
        files.add(spill, memory_file(), WORKER)
    assert not files.has_too_many
    files.add(1000, memory_file(), OTHER)
    assert files.has_too_many
    assert files.largest_owner() == WORKER
