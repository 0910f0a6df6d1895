"""
The operating system, as the supervisor uses it: processes, their exits, barriers and the clock.

All of these calls go through one object of this class, so that a test can put another in its place.

Linux only. ``ctypes`` is needed for the calls that Python does not offer (prctl,
membarrier); a kernel that refuses one of them costs a guarantee, which ``weaknesses``
names, but never the start.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import time
from collections.abc import Callable, Collection, Iterable
from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM

from hotwhisk.config.platform import TAG_VARIABLE
from hotwhisk.system import control_group
from hotwhisk.system.children import ExitStatus, children, kill_orphans
from hotwhisk.system.features import (
    MEMBARRIER,
    MEMBARRIER_GLOBAL_EXPEDITED,
    PR_SET_NAME,
    PR_SET_PDEATHSIG,
    SUBREAPER,
    Feature,
    raise_oom_score,
)
from hotwhisk.system.libc import LIBC
from hotwhisk.system.memory import FreeMemory
from hotwhisk.system.signals import HANDLED, Dispositions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


EXHAUSTED = frozenset({EMFILE, ENFILE, ENOBUFS, ENOMEM})
"""Errors of a call that may succeed later: descriptors or memory have run out for now."""


class System:
    """The real operating system."""

    def __init__(self) -> None:
        self.weaknesses: list[str] = []
        self.signals = Dispositions()
        self._deaths = control_group.find("deaths")
        # Both are inherited by fork, so every worker is reached by `barrier`.
        self._try(SUBREAPER)
        self._membarrier = self._try(MEMBARRIER)
        self.has_barrier = self._membarrier is not None
        self._oom_kills = 0
        self._memory: FreeMemory | None = None

    def _try(self, feature: Feature) -> object:
        try:
            return feature.probe()
        except OSError:
            self.weaknesses.append(f"no {feature.name}: {feature.cost}")
            return None

    def now(self) -> float:
        """Return the seconds on the monotonic clock."""
        return time.monotonic()

    def trim_memory(self) -> None:
        """Free the memory that imports left behind, before other processes share it."""
        gc.collect()
        if hasattr(LIBC, "malloc_trim"):  # not everywhere
            LIBC.malloc_trim(0)

    def raise_oom_score(self) -> None:
        """Make the kernel kill this worker before the supervisor when memory runs out."""
        try:
            raise_oom_score()
        except OSError:
            pass  # a sandbox without it

    def barrier(self) -> None:
        """
        Make every running worker's earlier writes to shared memory visible, and ours to them.

        This is the expensive half of an asymmetric fence. A worker writes its claim and then reads
        ``recalls``, without a fence. The supervisor fences for both sides when it recalls.
        """
        if self.has_barrier and LIBC.syscall(self._membarrier, MEMBARRIER_GLOBAL_EXPEDITED, 0, 0):
            self.has_barrier = False  # from now on a worker must release its connections itself
            self.weaknesses.append(f"no {MEMBARRIER.name}: {MEMBARRIER.cost}")

    def fork(self, child: Callable[[], NoReturn], name: str) -> tuple[int, int]:
        """
        Fork, and run ``child`` in the new process; return the process id and a pidfd.

        The child leads a session of its own, and the kernel kills it when its parent dies. The
        parent's objects are frozen first, because a garbage collection in the child would copy
        their pages.

        Raises:
            OSError: the system has no process or no descriptor left.
        """
        gc.freeze()
        parent = os.getpid()
        # Until it has its own handlers, a signal to the child would be written to our wake-up
        # descriptor, and Ctrl-C, which goes to both, would count twice.
        waiting = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        try:
            pid = os.fork()
            if pid == 0:
                _run_child(child, name, parent, self.signals)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, waiting)
        try:
            return pid, os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)  # `reap_orphans` reaps it later
            raise

    def open_child(self, pid: int) -> int:
        """
        Return a pidfd of a child that another process has forked for us; it may have exited.

        Raises:
            OSError: the process is not our child, or no descriptor is free.
        """
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return os.pidfd_open(pid)

    def ended(self, pidfd: int) -> ExitStatus | None:
        """
        Return how the child behind ``pidfd`` ended; None while it lives.

        The child is not reaped yet. Until then no other process gets its number, which `kill_group`
        and `kill_orphans` still use.
        """
        try:
            result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except OSError:
            # If it is dead, another call reaped it, and how it ended is not known.
            return ExitStatus(status=-1) if _is_readable(pidfd) else None
        return None if result is None else ExitStatus.of_result(result)

    def wait_end(self, pidfd: int, seconds: float) -> bool:
        """Wait until the child behind ``pidfd`` ends; return False if it has not by then."""
        return _is_readable(pidfd, seconds)

    def reap(self, pidfd: int) -> None:
        """
        Reap a dead child, so that its process id becomes free.

        If the child is not dead yet, `reap_orphans` reaps it later.
        """
        try:
            os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
        except OSError:
            pass

    def oom_kills(self) -> int:
        """Return how many processes of this control group were killed because memory ran out."""
        # The count never falls: a smaller one means that the file could not be read just now.
        self._oom_kills = max(self._oom_kills, control_group.oom_kills(self._deaths))
        return self._oom_kills

    def room_for(self, pids: Collection[int]) -> int:
        """Return how many further processes like these the limit of memory has room for."""
        self._memory = self._memory or FreeMemory()
        return self._memory.room_for(pids)

    def kill(self, pidfd: int) -> bool:
        """
        Kill the child behind ``pidfd``; a dead one is not an error.

        Returns False if the system refuses, because the child now runs as another user.
        """
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        except ProcessLookupError:
            pass
        except OSError:
            return False
        return True

    def kill_group(self, worker_pid: int) -> None:
        """Kill the process group of a dead worker that is not reaped yet."""
        try:
            os.killpg(worker_pid, signal.SIGKILL)
        except OSError:
            pass

    def kill_orphans(self, worker_pid: int, name: str, ours: Collection[int]) -> bool:
        """
        Kill the orphans of a dead worker that this process has adopted, but none of ``ours``.

        Returns True if there were any. When they end, their own children may come here.

        An orphan is the worker's if it bears its process name (copies made by fork keep it) or its
        tag in the environment (programs that were started keep that). Other orphans, such as those
        that ``docker exec`` left to process 1, are let alone.
        """
        return kill_orphans(lambda pid: pid not in ours and _belongs(pid, worker_pid, name))

    def reap_orphans(self, ours: Iterable[int]) -> None:
        """Reap children that ended and are not in ``ours`` (process ids of workers)."""
        known = set(ours)
        for pid in children():
            if pid not in known:
                try:
                    os.waitpid(pid, os.WNOHANG)
                except OSError:
                    pass


def _is_readable(descriptor: int, seconds: float = 0.0) -> bool:
    """Wait until a descriptor can be read; return False if not, or if the system cannot tell."""
    poll = select.poll()  # select() cannot take descriptors above 1023
    poll.register(descriptor, select.POLLIN)
    try:
        return bool(poll.poll(1000 * seconds))
    except OSError:
        return False


def _run_child(
    child: Callable[[], NoReturn], name: str, parent: int, signals: Dispositions
) -> NoReturn:
    try:
        signal.set_wakeup_fd(-1)
        has_parent = setup_child(name, parent)
        for number in HANDLED:
            # A signal that waits is dropped if it is ignored first. A waiting Ctrl-C meant the
            # supervisor, whose process group this child is not in any more.
            signal.signal(number, signal.SIG_IGN)
            signal.signal(number, signal.SIG_DFL)
        signals.restore()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        if has_parent:
            child()
    finally:
        os._exit(70)


def setup_child(name: str, parent: int) -> bool:
    """
    Start a session, set the process name, and have the kernel kill this child after its parent.

    Return False if the parent has died already.
    """
    os.setsid()
    LIBC.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    LIBC.prctl(PR_SET_NAME, name.encode()[:15], 0, 0, 0)
    return os.getppid() == parent


def _belongs(pid: int, worker_pid: int, name: str) -> bool:
    try:
        with open(f"/proc/{pid}/comm") as file:
            if file.read().rstrip("\n") == name[:15]:
                return True
        with open(f"/proc/{pid}/environ", "rb") as environ:
            return f"{TAG_VARIABLE}={worker_pid}".encode() in environ.read().split(b"\0")
    except OSError:
        return False
