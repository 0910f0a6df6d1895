"""The messages that load what the supervisor keeps, and when the supervisor closes it."""

from __future__ import annotations

import os

import pytest

from hotwhisk.ipc.messages import Load
from hotwhisk.supervisor.artifacts import LocalArtifact, UploadedArtifact


@pytest.fixture
def file() -> int:
    """Return a descriptor that the artifact under test must close."""
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


def is_open(descriptor: int) -> bool:
    return os.path.exists(f"/proc/self/fd/{descriptor}")


def test_what_was_posted_is_loaded_from_its_file(file: int) -> None:
    posted = UploadedArtifact(file, 10, 200)
    order, descriptors = posted.load_message(3, "/run/3/code", template=True, further=False)
    assert order == Load(3, "/run/3/code", 10, 200, template=True)
    assert descriptors == [file]
    posted.release()
    assert not is_open(file)


def test_what_is_local_is_read_once_by_its_first_worker(file: int) -> None:
    local = LocalArtifact("hello.py", "main")
    order, descriptors = local.load_message(1, "/run/1/code", template=False, further=False)
    assert order == Load(1, "/run/1/code", path="hello.py", main="main")
    assert descriptors == []
    local.content = UploadedArtifact(file, 0, 200)
    order, descriptors = local.load_message(1, "/run/1/code", template=False, further=True)
    assert order == Load(1, "/run/1/code", length=200, path="hello.py", main="main", further=True)
    assert descriptors == [file]
    local.release()
    assert not is_open(file)


def test_what_is_local_and_was_never_read_is_let_go_of() -> None:
    LocalArtifact("greeter", "main", module=True).release()
