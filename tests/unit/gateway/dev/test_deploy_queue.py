"""Loads are overseen on, whatever happens to one of them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from hotwhisk.gateway.dev.deploy_queue import DeployQueue
from hotwhisk.gateway.dev.project import Source, open_project


class Hanging:
    """A deployment whose loads wait, and that fails to say so."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.twice = threading.Semaphore(0)
        self.release = threading.Event()

    def deploy(self, source: Source, *_: Any) -> None:
        self.release.wait(20.0)

    def still_loading(self, source: Source, *_: Any) -> None:
        self.told.append(source.shown)
        self.twice.release()
        raise OSError("the disk is full")


@pytest.mark.slow
def test_an_error_for_one_load_leaves_the_others_overseen(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text("")
    deployment = Hanging()
    queue = DeployQueue(deployment, lambda *_: None)  # type: ignore[arg-type]
    for name in ("one", "two"):
        [source] = open_project(str(tmp_path / f"{name}.py")).sources()
        queue.put(source, [])
    try:
        for _ in range(2):
            assert deployment.twice.acquire(timeout=20.0)
    finally:
        deployment.release.set()
    assert sorted(deployment.told) == ["one", "two"]
