"""A gateway for the tests, with real servers behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateway import GatewayProcess


@pytest.fixture
def gateway() -> Iterator[GatewayProcess]:
    """Start a gateway with a new data folder."""
    with GatewayProcess() as started:
        yield started


@pytest.fixture(scope="module")
def shared_gateway() -> Iterator[GatewayProcess]:
    """Start one gateway for all tests of a module, which use names of their own."""
    with GatewayProcess() as started:
        yield started
