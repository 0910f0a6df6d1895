"""
Ignore the signals that mean nothing to the supervisor, and restore them in a child.

By default USR1, USR2, ALRM, IO and the real-time signals end a process, and TTIN and TTOU stop it.
None of them has a meaning for a server, so it ignores them. A worker is a plain Python process.
After its fork it gets the dispositions that this process had when it started. Otherwise the action,
and every program that it starts, would ignore these signals too.

Two real-time signals, 32 and 33, belong to the C library, which refuses to change them. Until it
needs them itself (for threads) they end a process as the others do. So this module changes them by
a system call.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # makes no value of an enum for each call
import os
import signal
import sys

from hotwhisk.system.libc import LIBC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


HANDLED: Final = (
    signal.SIGTERM,  # stop after the present requests; a second signal to stop ends it at once
    signal.SIGINT,  # the same
    signal.SIGQUIT,  # stop at once: the present requests get an error
    signal.SIGHUP,  # load FILE again, and replace
    signal.SIGCHLD,  # reap adopted processes, as process 1 must
)
"""Signals that the supervisor handles."""

LIBRARY: Final = (32, 33)
"""Real-time signals that the C library keeps for itself."""

SUSPENDS: Final = signal.SIGTSTP
"""The signal of Ctrl-Z. It suspends a server that has a terminal, and is ignored without one."""

IGNORED: Final = (
    signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF,
    signal.SIGPIPE, signal.SIGIO, signal.SIGPWR, signal.SIGSTKFLT, signal.SIGXCPU,
    signal.SIGXFSZ, signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH, signal.SIGURG,
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
) if sys.platform == "linux" else ()  # fmt: skip
"""Signals that mean nothing to the supervisor."""

SYS_RT_SIGACTION: Final = {"x86_64": 13, "aarch64": 134, "riscv64": 134}
_MASK_SIZE: Final = 8
_ACTION_SIZE: Final = 32
"""Bytes of the kernel's struct sigaction: the handler, then flags and mask, which are zero."""


class Dispositions:
    """The dispositions of signals that this process had before it ignored some."""

    def __init__(self) -> None:
        self._before: dict[int, object] = {}
        self._library: tuple[int, ...] = ()

    def ignore(self) -> None:
        """Ignore the signals that mean nothing to a server."""
        without = () if os.isatty(0) else (SUSPENDS,)
        for number in (*IGNORED, *without):
            self._before[number] = _signal.signal(number, _signal.SIG_IGN)
        self._library = tuple(each for each in LIBRARY if _act(each, signal.SIG_IGN))

    def restore(self) -> None:
        """Restore the former dispositions, in a child."""
        for number, before in self._before.items():
            if before is not None and before != _signal.SIG_IGN:
                _signal.signal(number, before)
        for number in self._library:
            _act(number, signal.SIG_DFL)


def _act(number: int, handler: signal.Handlers) -> bool:
    """Set the kernel's disposition of a signal of the C library; return False if it refuses."""
    call = SYS_RT_SIGACTION.get(os.uname().machine)
    if call is None:
        return False
    action = int(handler).to_bytes(8, sys.byteorder).ljust(_ACTION_SIZE, b"\0")
    return bool(LIBC.syscall(call, number, action, None, _MASK_SIZE) == 0)
