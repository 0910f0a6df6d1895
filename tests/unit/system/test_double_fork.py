"""Processes that are started as children of another process."""

from __future__ import annotations

import subprocess
import sys

import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("there is no child subreaper elsewhere", allow_module_level=True)

ADOPTER = """
import os, signal
from hotwhisk.system.features import PR_SET_CHILD_SUBREAPER, call
from hotwhisk.system.double_fork import double_fork

call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
adopter = os.getpid()
if not os.fork():
    for _ in range(50):
        pid = double_fork("adopted", adopter)
        if not pid:
            signal.pause()
        with open(f"/proc/{pid}/stat") as file:
            name, fields = file.read().rsplit(")", 1)
        _, parent, group, session, *_ = fields.split()
        assert (name.partition("(")[2], int(parent)) == ("adopted", adopter), (name, parent)
        assert int(group) == int(session) == pid, (group, session)
        os.kill(pid, signal.SIGKILL)
    os._exit(0)
for _ in range(51):
    pid, status = os.wait()
    assert status in (0, signal.SIGKILL), status
"""


def test_a_process_is_set_up_when_its_process_id_is_known() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ADOPTER], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
