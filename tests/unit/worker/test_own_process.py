"""How a worker's process ends after an exception in our own code."""

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


@pytest.mark.slow
def test_a_worker_that_fails_ends_though_its_log_has_no_reader() -> None:
    command = [sys.executable, "-c", FAIL_WITH_A_FULL_LOG]
    assert subprocess.run(command, timeout=30, check=False).returncode == 70
