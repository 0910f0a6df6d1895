"""How a worker's process ends after an exception in our own code, and how a copy of it ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAIL_WITH_A_FULL_LOG = """\
import io, os, sys
from hotwhisk.openwhisk.sentinels import LineTracker
from hotwhisk.system.output import STATE_SIZE, Output, StreamState
from hotwhisk.worker.own_process import fail

reading, writing = os.pipe()
os.set_blocking(writing, False)
try:
    while True:
        os.write(writing, b"." * 4096)
except BlockingIOError:
    os.set_blocking(writing, True)
state = StreamState(memoryview(bytearray(STATE_SIZE)))
tracker = LineTracker(writing, Output(writing, state, 3))
sys.stderr = io.TextIOWrapper(tracker, write_through=True)
try:
    raise ValueError("wrong")
except ValueError:
    fail()
"""

END_A_COPY = """\
import os, sys
from hotwhisk.worker.own_process import end_copy

pid = os.getpid()
child = os.fork()
if not child:
    sys.stdout.write("the last line of the copy, ")
end_copy(pid)
sys.stdout.write(f"status {os.waitpid(child, 0)[1]}")
"""


@pytest.mark.slow
def test_a_copy_ends_with_its_last_line_and_the_original_goes_on() -> None:
    command = [sys.executable, "-c", END_A_COPY]
    done = subprocess.run(command, timeout=30, capture_output=True, text=True, check=True)
    assert done.stdout == "the last line of the copy, status 0"


@pytest.mark.slow
def test_a_worker_that_fails_ends_though_its_log_has_no_reader() -> None:
    command = [sys.executable, "-c", FAIL_WITH_A_FULL_LOG]
    assert subprocess.run(command, timeout=30, check=False).returncode == 70
