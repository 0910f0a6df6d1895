"""A gateway for the tests, with real servers behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.agents import Agents
from tests.support.browser import open_browser
from tests.support.gateway import GatewayProcess

if TYPE_CHECKING:
    from playwright.sync_api import Browser


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


@pytest.fixture(scope="module")
def agents() -> Iterator[Agents]:
    """Start the process of the agents, whose imports take a second, once for a module."""
    with Agents() as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start one browser for a module; a longer scope would keep its event loop for other tests."""
    with open_browser() as opened:
        yield opened
