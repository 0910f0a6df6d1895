"""A wait for libraries that is given up ends at once; an installation ends if none wants it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from hotwhisk.gateway.cancellation import Cancellation, Cancelled
from hotwhisk.gateway.dev.libraries import Libraries
from tests.support.wheels import make_wheel

pytestmark = pytest.mark.slow

DEADLINE = 20.0


class SilentIndex:
    """An index of packages that accepts connections and never answers."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(DEADLINE)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/simple"
        self._asked: socket.socket | None = None

    def wait_asked(self) -> None:
        self._asked = self._listener.accept()[0]
        self._asked.settimeout(DEADLINE)
        assert self._asked.recv(1)

    def wait_left(self) -> None:
        """Wait until the program that has asked has ended."""
        assert self._asked is not None
        try:
            while self._asked.recv(65536):
                pass
        except ConnectionResetError:
            pass

    def close(self) -> None:
        self._listener.close()
        if self._asked is not None:
            self._asked.close()


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentIndex]:
    index = SilentIndex()
    monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
    monkeypatch.setenv("UV_NO_CACHE", "1")
    yield index
    index.close()


@pytest.fixture
def libraries(tmp_path: Path) -> Iterator[Libraries]:
    libraries = Libraries(str(tmp_path / "libraries"), lambda _: None)
    yield libraries
    libraries.close()
    assert not [name for name in os.listdir(tmp_path / "libraries") if name.startswith(".")]


def project(folder: Path, requirement: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "requirements.txt").write_text(requirement)
    (folder / "hello.py").write_text("def main(event): return {}\n")
    return str(folder / "hello.py")


def install(libraries: Libraries, source: str, cancellation: Cancellation) -> Future[str]:
    return ThreadPoolExecutor(1).submit(libraries.install, source, cancellation)


def test_a_wait_that_is_given_up_ends_at_once_and_the_installation_goes_on(
    tmp_path: Path, index: SilentIndex, libraries: Libraries
) -> None:
    source, cancellation = project(tmp_path / "one", "wanted==1.0\n"), Cancellation()
    first = install(libraries, source, cancellation)
    index.wait_asked()
    cancellation.cancel()
    with pytest.raises(Cancelled):
        first.result(DEADLINE)
    again = Cancellation()
    second = install(libraries, source, again)  # waits for the same installation
    again.cancel()
    with pytest.raises(Cancelled):
        second.result(DEADLINE)
    project(tmp_path / "one", "# none\n")
    assert libraries.install(source, Cancellation()) == ""
    index.wait_left()


def test_an_installation_that_another_action_wants_too_is_not_ended(
    tmp_path: Path, index: SilentIndex, libraries: Libraries
) -> None:
    sources = [project(tmp_path / name, "wanted==1.0\n") for name in ("one", "two")]
    script = '# /// script\n# dependencies = ["wanted==1.0"]\n# ///\n'
    for source in sources:
        Path(source).write_text(script)
    waits = [Cancellation(), Cancellation()]
    installs = [install(libraries, *each) for each in zip(sources, waits, strict=True)]
    index.wait_asked()
    Path(sources[0]).write_text("")
    project(tmp_path / "one", "# none\n")
    waits[0].cancel()
    assert libraries.install(sources[0], Cancellation()) == ""
    assert not installs[1].done()
    waits[1].cancel()
    for each in installs:
        with pytest.raises(Cancelled):
            each.result(DEADLINE)


def test_the_end_ends_an_installation_with_its_program(
    tmp_path: Path, index: SilentIndex, libraries: Libraries
) -> None:
    waiting = install(libraries, project(tmp_path / "one", "wanted==1.0\n"), Cancellation())
    index.wait_asked()
    libraries.close()
    index.wait_left()
    assert waiting.exception(DEADLINE) is not None


def test_actions_that_want_the_same_libraries_share_one_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_wheel(tmp_path / "wheels", "wanted", "1.0")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    said: list[str] = []
    libraries = Libraries(str(tmp_path / "libraries"), said.append)
    source = Path(project(tmp_path / "one", ""))
    script = '# /// script\n# dependencies = ["wanted==1.0"]\n# ///\n'
    sources = [str(source.with_name(f"{number}.py")) for number in range(4)]
    for each in sources:
        Path(each).write_text(script)
    begin = threading.Barrier(len(sources))

    def run(each: str) -> str:
        begin.wait(DEADLINE)
        return libraries.install(each, Cancellation())

    with ThreadPoolExecutor(len(sources)) as threads:
        places = set(threads.map(run, sources))
    assert len(places) == len(said) == 1
