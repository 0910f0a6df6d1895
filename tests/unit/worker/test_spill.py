"""Memory files: made, shared, grown, kept, dropped."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from hotwhisk.worker.spill import KEPT, RESERVE, SMALLEST, Spill, Spills, make_file
from tests.support.limits import files_forbidden


class Supervisor:
    """Holds a duplicate of each file, as the real one does."""

    def __init__(self) -> None:
        self.files: dict[int, int] = {}
        self.spills = Spills(100, self.created, self.closed, lambda: None)

    def created(self, number: int, descriptor: int) -> None:
        self.files[number] = os.dup(descriptor)

    def closed(self, number: int) -> None:
        os.close(self.files.pop(number))


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    supervisor = Supervisor()
    yield supervisor
    for number in list(supervisor.files):
        supervisor.closed(number)


def test_the_supervisor_gets_a_file_before_its_number_is_used(supervisor: Supervisor) -> None:
    spill = supervisor.spills.take(10)
    assert spill.number == 100
    assert len(spill.map) == SMALLEST
    assert list(supervisor.files) == [100]


def test_another_worker_reads_what_was_written(supervisor: Supervisor) -> None:
    spill = supervisor.spills.take(10)
    spill.map[:5] = b"hello"
    other = Spill.adopt(spill.number, os.dup(supervisor.files[spill.number]))
    del spill
    assert other.map[:5] == b"hello"
    other.map[5:6] = b"!"
    other.fit(3 * SMALLEST)
    assert other.map[:6] == b"hello!"


def test_a_file_that_is_mapped_closes_its_descriptor(supervisor: Supervisor) -> None:
    descriptor = os.dup(supervisor.files[supervisor.spills.take(10).number])
    Spill.adopt(100, descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_file_grows_by_more_than_it_must(supervisor: Supervisor) -> None:
    spill = supervisor.spills.take(10)
    spill.fit(SMALLEST)
    assert len(spill.map) == SMALLEST
    spill.fit(SMALLEST + 1)
    assert len(spill.map) == 2 * SMALLEST
    spill.fit(20 * KEPT)
    assert len(spill.map) == 20 * KEPT
    spill.fit(20 * KEPT + 1)
    assert len(spill.map) == 21 * KEPT
    assert os.fstat(supervisor.files[100]).st_size == 21 * KEPT


def test_one_idle_file_is_kept_for_the_next_request(supervisor: Supervisor) -> None:
    first, second = supervisor.spills.take(10), supervisor.spills.take(10)
    supervisor.spills.put_back(first)
    supervisor.spills.put_back(second)
    assert list(supervisor.files) == [first.number]
    assert supervisor.spills.take(2 * SMALLEST) is first
    assert len(first.map) == 2 * SMALLEST
    assert supervisor.spills.take(10).number == 102


def test_a_large_file_is_not_kept(supervisor: Supervisor) -> None:
    supervisor.spills.put_back(supervisor.spills.take(KEPT + 1))
    assert not supervisor.files


def test_a_thousand_requests_leave_one_file(supervisor: Supervisor) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for size in range(0, 100 * 1000, 100):
        supervisor.spills.put_back(supervisor.spills.take(size))
    assert len(supervisor.files) == 1
    # One more for the supervisor's duplicate and one that mmap keeps.
    assert len(os.listdir("/proc/self/fd")) <= before + 2


# -- where no file can be made ----------------------------------------------------------------


@pytest.fixture
def limited(supervisor: Supervisor) -> Supervisor:
    """Make a worker that has a reserve."""
    descriptor = make_file(RESERVE)
    supervisor.created(900, descriptor)
    supervisor.spills.set_reserve(900, descriptor)
    return supervisor


def test_the_reserve_is_taken_where_no_file_can_be_made(limited: Supervisor) -> None:
    with files_forbidden():
        spill = limited.spills.take(50_000_000)
        assert spill.number == 900
        with pytest.raises(OSError, match="File too large"):
            limited.spills.take(10)


def test_the_reserve_is_taken_where_a_file_cannot_grow(limited: Supervisor) -> None:
    spill = limited.spills.take(10)
    spill.map[:5] = b"hello"
    with files_forbidden():
        larger = limited.spills.fit(spill, 10 * SMALLEST, 5)
    assert larger.number == 900
    assert larger.map[:5] == b"hello"
    assert list(limited.files) == [900]


def test_a_released_reserve_can_be_taken_again_and_takes_no_memory(
    limited: Supervisor,
) -> None:
    with files_forbidden():
        spill = limited.spills.take(10)
        spill.map[: 1 << 20] = b"x" * (1 << 20)
        limited.spills.put_back(spill)
        assert os.fstat(limited.files[900]).st_blocks == 0
        assert limited.spills.take(10).number == 900


def test_a_second_reserve_is_closed(limited: Supervisor) -> None:
    descriptor = make_file(RESERVE)
    limited.created(901, descriptor)
    limited.spills.set_reserve(901, descriptor)
    assert list(limited.files) == [900]


def test_what_is_written_leaves_in_a_file_of_its_own(supervisor: Supervisor) -> None:
    number, descriptor = supervisor.spills.write(b"def main(): ...")
    assert os.pread(descriptor, 100, 0) == b"def main(): ..."
    assert number != supervisor.spills.take(10).number
    os.close(descriptor)


def test_what_is_written_goes_into_the_reserve_where_no_file_can_be_made(
    limited: Supervisor,
) -> None:
    with files_forbidden():
        assert limited.spills.write(b"def main(): ...") == (900, -1)


def test_a_new_file_grows_but_never_shrinks() -> None:
    descriptor = make_file(SMALLEST)
    try:
        os.ftruncate(descriptor, 2 * SMALLEST)
        with pytest.raises(PermissionError):
            os.ftruncate(descriptor, SMALLEST)
    finally:
        os.close(descriptor)
