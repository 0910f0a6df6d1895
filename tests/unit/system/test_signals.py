"""Signals that are ignored, and restored in a child."""

from __future__ import annotations

import signal
import subprocess
import sys

from hotwhisk.system.signals import HANDLED, IGNORED, LIBRARY, SUSPENDS

IGNORED_MASK = """
import signal, sys
from hotwhisk.system.signals import LIBRARY, Dispositions, _act
for number in LIBRARY:  # or what an earlier test left ignored would be inherited
    _act(number, signal.SIG_DFL)
def ignored():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1], 16) for line in file if line.startswith("SigIgn"))
before = ignored()
dispositions = Dispositions()
dispositions.ignore()
during = ignored()
dispositions.restore()
print(before, during, ignored())
"""


def masks(*before: str) -> tuple[int, int, int]:
    done = subprocess.run(
        [*before, sys.executable, "-c", IGNORED_MASK],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    first, during, after = map(int, done.stdout.split())
    return first, during, after


def test_ignored_signals_are_restored_in_a_child() -> None:
    before, during, after = masks()
    assert before == after
    for number in (*IGNORED, *LIBRARY, SUSPENDS):
        assert during >> (number - 1) & 1, number


def test_a_signal_that_was_ignored_before_stays_ignored() -> None:
    before, _, after = masks("sh", "-c", 'trap "" USR1 ALRM; exec "$@"', "sh")
    assert before == after
    assert before >> (signal.SIGUSR1 - 1) & 1


def test_every_signal_is_handled_or_ignored_or_left_on_purpose() -> None:
    faults = {
        signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV,
        signal.SIGSYS, signal.SIGTRAP,
    }  # fmt: skip
    others = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT}
    thought_of = {*HANDLED, *IGNORED, *LIBRARY, SUSPENDS, *faults, *others}
    assert thought_of == set(range(1, 65))
