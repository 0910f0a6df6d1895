"""Descriptors that a queue uses are closed by their last user."""

from __future__ import annotations

import os

import pytest

from hotwhisk.system.descriptors import Descriptors


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
