"""What the tests of the gateway have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotwhisk.gateway.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Open a new database."""
    opened = Store(str(tmp_path / "database"))
    yield opened
    opened.close()
