"""How events of folders are waited for, also when the kernel gives no more watches."""

from __future__ import annotations

import ctypes
import itertools
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hotwhisk.watch.events import SOURCES, Inotify

OWN_LIMITS = ("unshare", "--user", "--map-root-user")
"""A command that runs another with limits of inotify of its own. It is in util-linux."""
WAIT_AND_FOLLOW = """\
import ctypes, sys, threading
from hotwhisk.watch.events import SOURCES, Inotify
events = Inotify(ctypes.CDLL(None, use_errno=True))
waiting = threading.Thread(target=events.wait)
waiting.start()
events.follow({folder: {SOURCES} for folder in sys.argv[1:]})
waiting.join(20)
print("waits on" if waiting.is_alive() else "woke", flush=True)
events.wait()
print("by the clock", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["max_inotify_watches", "max_inotify_instances"])
def test_a_thread_that_waits_goes_on_by_the_clock_if_watches_run_out(
    tmp_path: Path, limit: str
) -> None:
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    most = 2 if limit == "max_inotify_watches" else 0
    shell = f'echo {most} > /proc/sys/user/{limit} && exec "$@"'
    python = (sys.executable, "-c", WAIT_AND_FOLLOW)
    done = subprocess.run(
        [*OWN_LIMITS, "sh", "-c", shell, "sh", *python, *map(str, folders)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("woke\nby the clock\n", "")


def test_a_folder_that_is_followed_while_a_thread_waits_wakes_it(tmp_path: Path) -> None:
    events = Inotify(ctypes.CDLL(None, use_errno=True))
    events.follow({str(tmp_path): set()})
    waiting = threading.Thread(target=events.wait, daemon=True)
    waiting.start()
    (tmp_path / "new").mkdir()
    events.follow({str(tmp_path / "new"): {SOURCES}})
    (tmp_path / "new" / "a.py").write_text("")
    waiting.join(20.0)
    assert not waiting.is_alive()


def test_a_save_is_not_held_up_by_what_is_written_beside_it(tmp_path: Path) -> None:
    events = Inotify(ctypes.CDLL(None, use_errno=True))
    events.follow({str(tmp_path): {"hello.py"}})
    enough = threading.Event()

    def write_log() -> None:
        with (tmp_path / "server.log").open("w") as log:
            for number in itertools.takewhile(lambda _: not enough.wait(0.002), itertools.count()):
                print(number, file=log, flush=True)

    threads = [threading.Thread(target=each, daemon=True) for each in (write_log, events.wait)]
    for each in threads:
        each.start()
    (tmp_path / "hello.py").write_text("")
    threads[1].join(20.0)
    assert not threads[1].is_alive()
    enough.set()
    threads[0].join(20.0)


def test_a_folder_that_went_away_is_watched_no_more(tmp_path: Path) -> None:
    events = Inotify(ctypes.CDLL(None, use_errno=True))
    kept, moved, removed = (tmp_path / name for name in ("kept", "moved", "removed"))
    for folder in (kept, moved, removed):
        folder.mkdir()
    events.follow({str(each): {SOURCES} for each in (kept, moved, removed)})
    assert watches(events) == 3
    moved.rename(tmp_path / "elsewhere")
    removed.rmdir()
    events.follow({str(kept): {SOURCES}})
    assert watches(events) == 1
    waiting = threading.Thread(target=events.wait, daemon=True)
    waiting.start()
    (tmp_path / "elsewhere" / "a.py").write_text("")
    (kept / "a.py").write_text("")
    waiting.join(20.0)
    assert not waiting.is_alive()
    for _ in range(3):
        moved.mkdir()
        events.follow({str(each): {SOURCES} for each in (kept, moved)})
        assert watches(events) == 2
        moved.rmdir()
        events.follow({str(kept): {SOURCES}})
        assert watches(events) == 1


def watches(events: Inotify) -> int:
    """Return how many watches the kernel keeps."""
    shown = Path(f"/proc/self/fdinfo/{events._end}").read_text()
    return shown.count("inotify wd:")


def test_a_wait_may_have_an_end(tmp_path: Path) -> None:
    events = Inotify(ctypes.CDLL(None, use_errno=True))
    events.follow({str(tmp_path): {SOURCES}})
    events.wait(0.01)
