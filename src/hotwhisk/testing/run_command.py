"""
Run a command of hotwhisk for a test run, and not longer than that.

A test run that is killed cannot stop the servers that it started. The kernel sends them SIGTERM.
"""

from __future__ import annotations

import ctypes
import signal
import sys

from hotwhisk.cli import main
from hotwhisk.system.features import PR_SET_PDEATHSIG


def run(argv: list[str]) -> int:
    """Run the command; return its exit code."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    return main(argv)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
