"""What user code may do while its imports are measured, on real processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotwhisk.build.import_profile import Import
from hotwhisk.errors import BuildFailed, StartError
from hotwhisk.gateway.runtimes.import_measurement import MOST_WRITTEN, ImportMeasurement
from hotwhisk.gateway.runtimes.launcher import Launcher
from hotwhisk.gateway.runtimes.memory_limits import MemoryLimits
from tests.support.rendezvous import Rendezvous

pytestmark = pytest.mark.slow

MAIN = "def main(args):\n    return {}\n"
MEET = """
import os, socket
ends = []
def meet():
    end = socket.socket(socket.AF_UNIX)
    ends.append(end)
    end.connect(%r)
    end.sendall(str(os.getpid()).encode())
    return end.recv(1)
"""
DAEMON = """
if not os.fork():
    os.setsid()
    if not os.fork():
        meet()
        meet()
    os._exit(0)
os.wait()
"""
MEGABYTES = 256


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[Launcher]:
    started = Launcher(str(tmp_path / "run"), {"SHOWN": "yes"})
    yield started
    started.close()


@pytest.fixture
def place() -> Iterator[Rendezvous]:
    with Rendezvous() as made:
        yield made


Measure = Callable[[str], tuple[Import, ...]]


@pytest.fixture
def measure(launcher: Launcher, tmp_path: Path) -> Iterator[Measure]:
    measurement = ImportMeasurement(launcher, MemoryLimits(), seconds=20.0)
    yield lambda source: measurement.measure((source + MAIN).encode(), "main", MEGABYTES)
    assert [each.name for each in (tmp_path / "run").iterdir()] == ["empty"]


def in_thread(measure: Measure, source: str) -> tuple[threading.Thread, list[str]]:
    """Begin to measure; the list gets the text of the error."""
    said: list[str] = []

    def run() -> None:
        try:
            measure(source)
        except (BuildFailed, StartError) as error:
            said.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    return thread, said


def test_the_imports_and_the_environment_are_those_of_a_server(measure: Measure) -> None:
    found = measure("import os, wave\nassert os.environ['SHOWN'] == 'yes'\n")
    assert "wave" in {each.module for each in found}
    with pytest.raises(BuildFailed, match="No module named 'nothing_like_it'"):
        measure("import nothing_like_it\n")


def test_the_signals_are_those_of_a_fresh_process(measure: Measure) -> None:
    measure(
        "import signal\n"
        "assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())\n"
        "assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL\n"
    )


def test_memory_has_the_limit_of_the_action(measure: Measure) -> None:
    reason = r"more memory than the 256 MB of its limit|MemoryError"
    with pytest.raises(BuildFailed, match=reason):
        measure("kept = [b'x' * (1 << 20) for _ in range(4000)]\n")
    measure("")


def test_what_it_starts_ends_with_it(measure: Measure, place: Rendezvous) -> None:
    thread, said = in_thread(measure, MEET % place.path + DAEMON + "meet()\n")
    both = place.wait_arrival(), place.wait_arrival()
    for each in both:
        each.release()  # the import ends, and the daemon waits again
    for each in both:
        assert each.wait_gone(10)
    thread.join()
    assert not said


def test_what_takes_too_long_is_ended(launcher: Launcher, place: Rendezvous) -> None:
    slow = ImportMeasurement(launcher, MemoryLimits(), seconds=1.5)
    source = MEET % place.path + DAEMON + "meet()\n"
    thread, said = in_thread(
        lambda source: slow.measure((source + MAIN).encode(), "main", MEGABYTES), source
    )
    daemon, itself = place.wait_arrival(), place.wait_arrival()
    assert daemon.wait_gone(10)
    assert itself.wait_gone(10)
    thread.join()
    assert said == ["its imports took longer than 1.5 s here"]


def test_it_ends_with_the_launcher(measure: Measure, launcher: Launcher, place: Rendezvous) -> None:
    thread, said = in_thread(measure, MEET % place.path + DAEMON + "meet()\n")
    daemon, itself = place.wait_arrival(), place.wait_arrival()
    launcher.close()
    assert daemon.wait_gone(10)
    assert itself.wait_gone(10)
    thread.join()
    assert said
    with pytest.raises(StartError, match="the gateway is ending"):
        measure("")


def test_one_is_measured_at_a_time(measure: Measure, place: Rendezvous) -> None:
    thread, said = in_thread(measure, MEET % place.path + "meet()\n")
    held = place.wait_arrival()
    with pytest.raises(StartError, match="other imports are being measured; try again"):
        measure("")
    held.release()
    thread.join()
    assert not said
    measure("")


def test_a_flood_of_output_is_ended(measure: Measure) -> None:
    with pytest.raises(BuildFailed, match=f"more than {MOST_WRITTEN >> 20} MB"):
        measure("import sys\nwhile True:\n    sys.stderr.write('x' * 100_000)\n")


def test_a_name_of_a_handler_that_is_too_long_harms_nothing(
    launcher: Launcher, measure: Measure
) -> None:
    process = launcher._process.pid
    measurement = ImportMeasurement(launcher, MemoryLimits())
    with pytest.raises(StartError, match="a command may have 65536 bytes"):
        measurement.measure(MAIN.encode(), "m" * 100_000, MEGABYTES)
    with pytest.raises(BuildFailed):
        measurement.measure(MAIN.encode(), "m\0", MEGABYTES)
    measure("")
    os.kill(process, 0)
