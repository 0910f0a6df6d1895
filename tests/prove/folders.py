"""
Prove that files and links in the folder of an action, or in the run folder, do no harm.

Versions are replaced, the server stops and starts again, and nothing outside is touched.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.actions import version_source
from tests.support.client import run_once
from tests.support.leftover import Again
from tests.support.server import Server
from tests.support.trees import NEST, TAKE_RIGHTS, nest

from .outcome import Outcome

REPLACED_WITHIN = 1.0
STOPPED_WITHIN = 8.0
STARTED_WITHIN = 5.0

LEAVING = (
    NEST
    + TAKE_RIGHTS
    + """
def main(event):
    nest(event["levels"])
    for number in range(event["files"]):
        os.symlink(event["outside"], f"link{number}")
    take_rights()
    return {}
"""
)


def outlive_folders(rounds: int = 5, levels: int = 2000, files: int = 20_000) -> Outcome:
    """
    Replace versions that leave deep folders, many links and folders without rights.

    Then the server is killed, and another one starts in the same place and is stopped.
    """
    outcome = Outcome(f"{rounds} times {levels} folders in each other and {files} links")
    slowest = stop = start = 0.0
    with tempfile.TemporaryDirectory(prefix="hotwhisk-prove-") as made:
        outside = Path(made, "outside")
        nest(outside, 3)
        event = {"levels": levels, "files": files, "outside": str(outside)}
        for _ in range(rounds):
            left = Path(made, "left")
            with outcome.trying("a round"), Server() as server:
                for version in range(1, 6):
                    server.post(LEAVING)
                    run_once(server.address, event, timeout=60.0)
                    begun = time.monotonic()
                    server.replace(version)
                    slowest = max(slowest, time.monotonic() - begun)
                    outcome.expect_version("a replacement", run_once(server.address, {}), version)
                server.post(LEAVING)
                run_once(server.address, event, timeout=60.0)
                os.kill(server.pid, signal.SIGKILL)
                outcome.expect(server.wait(10.0) is not None, "it outlived SIGKILL")
                (server.run_dir / str(server.port)).rename(left)
            begun = time.monotonic()
            with outcome.trying("the next start"), Again(put(left)) as server:
                start = max(start, time.monotonic() - begun)
                server.replace(7)
                outcome.expect_version("after the start", run_once(server.address, {}), 7)
                begun = time.monotonic()
                server.terminate()
                outcome.expect(server.wait(30.0) == 0, "the stop failed")
                stop = max(stop, time.monotonic() - begun)
                outcome.expect("Traceback" not in server.stderr(), server.stderr()[-600:])
        outcome.expect((outside / "d/d/d/last").exists(), "something outside was removed")
    outcome.expect(slowest < REPLACED_WITHIN, f"a replacement took {slowest:.2f} s")
    outcome.expect(start < STARTED_WITHIN, f"a start took {start:.2f} s")
    outcome.expect(stop < STOPPED_WITHIN, f"a stop took {stop:.2f} s")
    outcome.result = (
        f"replaced within {slowest * 1000:.0f} ms, started again within {start:.2f} s, "
        f"stopped within {stop:.2f} s; 0 removed outside"
    )
    return outcome


def put(left: Path) -> Callable[[Path, str], None]:
    """Return a function that puts what a killed server left at the place of the next one."""

    def prepare(run_dir: Path, place: str) -> None:
        left.rename(run_dir / place)

    return prepare


def find_things(rounds: int = 20) -> Outcome:
    """Start servers while something else lies in the place of their folder, socket or lock."""
    outcome = Outcome(f"{rounds} starts with each of {len(THINGS)} things at each of 3 places")
    starts = 0
    slowest = 0.0
    with tempfile.TemporaryDirectory(prefix="hotwhisk-prove-") as made:
        outside = Path(made, "outside")
        nest(outside, 3)
        for make in THINGS * rounds:
            for end in ("", ".sock", ".lock"):

                def prepare(run_dir: Path, place: str, make: Make = make, end: str = end) -> None:
                    make(run_dir / f"{place}{end}", outside)

                begun = time.monotonic()
                with outcome.trying(f"{make.__name__} {end}"), Again(prepare) as server:
                    slowest = max(slowest, time.monotonic() - begun)
                    server.post(version_source(1))
                    outcome.expect_version("after the start", run_once(server.address, {}), 1)
                    server.terminate()
                    outcome.expect(server.wait(10.0) == 0, "the stop failed")
                    left = [each.name for each in server.run_dir.iterdir()]
                    outcome.expect(not left, f"{make.__name__} {end}: left {left}")
                    starts += 1
        outcome.expect((outside / "d/d/d/last").exists(), "something outside was removed")
    outcome.result = f"{starts} started, within {slowest:.2f} s; 0 left, 0 removed outside"
    return outcome


Make = Callable[[Path, Path], object]


def link(place: Path, outside: Path) -> None:
    """Make a link to a folder that is not the server's."""
    place.symlink_to(outside)


def dangling_link(place: Path, _: Path) -> None:
    """Make a link whose target does not exist."""
    place.symlink_to("nothing")


def file(place: Path, _: Path) -> None:
    """Make a file without rights."""
    place.touch(mode=0)


def folder(place: Path, outside: Path) -> None:
    """Make a folder with a link in it."""
    nest(place, 3)
    (place / "d" / "link").symlink_to(outside)


def closed_folder(place: Path, outside: Path) -> None:
    """Make a folder with a link in it, and take away the rights of all levels."""
    folder(place, outside)
    for each in (place / "d" / "d" / "d", place / "d" / "d", place / "d", place):
        each.chmod(0)


THINGS: list[Make] = [link, dangling_link, file, folder, closed_folder]
