"""
Probe the features of the kernel that hotwhisk uses: one function for each.

The server probes the required features before it starts, and says which one is missing. It probes
an optional feature where it uses it; if that is missing, the status names it as a weakness.
``hotwhisk doctor`` probes all of them, each in a process of its own, because a filter of system
calls may end the process that makes one.
"""

from __future__ import annotations

import _socket
import array
import ctypes
import fcntl
import mmap
import os
import select
import signal
import struct
from collections.abc import Callable
from contextlib import closing
from errno import ECHILD, ENOSYS

from hotwhisk.errors import StartError
from hotwhisk.record import Record
from hotwhisk.system import control_group
from hotwhisk.system.libc import LIBC
from hotwhisk.system.tcp import bytes_written

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final


PR_SET_PDEATHSIG: Final = 1
PR_SET_NAME: Final = 15
PR_SET_CHILD_SUBREAPER: Final = 36
SYS_MEMBARRIER: Final = {"x86_64": 324, "aarch64": 283, "riscv64": 283}
MEMBARRIER_GLOBAL_EXPEDITED: Final = 1 << 1
MEMBARRIER_REGISTER_GLOBAL_EXPEDITED: Final = 1 << 2
PIPE_SIZE: Final = 1 << 20
"""Bytes that a pipe to a program holds, if the system permits that many."""
OOM_SCORE_ADDED: Final = 500
MOST_OOM_SCORE: Final = 1000


class Feature(Record):
    """
    Describes a feature that the kernel may lack or refuse.

    ``probe`` raises OSError then. ``cost`` says what does not work without the feature, ``remedy``
    what can be done.
    """

    name: str
    probe: Callable[[], object]
    cost: str
    remedy: str


def call(name: str, *arguments: int) -> None:
    """
    Call a function of the C library that returns 0 if it succeeds.

    Raises:
        OSError: the function failed. The error has the number that it set.
    """
    if getattr(LIBC, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def become_subreaper() -> None:
    """Make this process adopt the orphans of every process below it."""
    call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def register_for_barriers() -> int:
    """
    Register this process, and later children, for the barriers of other processes.

    Returns the number of the system call.
    """
    number = SYS_MEMBARRIER.get(os.uname().machine)
    if number is None:
        raise OSError(ENOSYS, os.strerror(ENOSYS))
    call("syscall", number, MEMBARRIER_REGISTER_GLOBAL_EXPEDITED, 0, 0)
    call("syscall", number, MEMBARRIER_GLOBAL_EXPEDITED, 0, 0)
    return number


def _process_descriptors() -> None:
    descriptor = os.pidfd_open(os.getpid())
    try:
        signal.pidfd_send_signal(descriptor, 0)
        os.waitid(os.P_PIDFD, descriptor, os.WEXITED | os.WNOHANG)
    except ChildProcessError as error:
        # ECHILD: the kernel knows the call, and this process is not its own child.
        if error.errno != ECHILD:
            raise
    finally:
        os.close(descriptor)


def _memory_files() -> None:
    descriptor = os.memfd_create("hotwhisk", os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, mmap.PAGESIZE)
        with mmap.mmap(descriptor, mmap.PAGESIZE) as mapping:
            mapping.resize(2 * mmap.PAGESIZE)
    except SystemError as error:  # a Python without mremap
        raise OSError(ENOSYS, str(error)) from error
    finally:
        os.close(descriptor)


def _descriptor_passing() -> None:
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    with closing(ours), closing(theirs):
        rights = array.array("i", [ours.fileno()])
        ours.sendmsg([b"x"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
        size = _socket.CMSG_SPACE(rights.itemsize)
        _, received, _, _ = theirs.recvmsg(1, size, _socket.MSG_CMSG_CLOEXEC)
        if not received:
            raise OSError(ENOSYS, "a descriptor that was sent did not arrive")
        os.close(array.array("i", received[0][2])[0])


def _shared_memory() -> None:
    with mmap.mmap(-1, mmap.PAGESIZE) as mapping:
        mapping[0] = 1


def _epoll() -> None:
    select.epoll().close()


def _count_of_bytes() -> None:
    import socket  # `hotwhisk doctor` probes this, and no server

    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.connect(listener.getsockname())
        sender, _ = listener.accept()  # the end of a server: at the other one SYN counts too
        with sender:
            sender.sendall(b"x")
            try:
                written = bytes_written(sender.fileno())
            except struct.error as error:
                raise OSError(ENOSYS, "TCP_INFO is too short") from error
        if written != 1:
            raise OSError(ENOSYS, f"TCP_INFO and TIOCOUTQ count {written} bytes of 1")


def _death_signal() -> None:
    call("prctl", PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def raise_oom_score() -> None:
    """
    Make the kernel kill this process before its parent when memory runs out.

    This adds to the current oom_score_adj, which a kubelet may have set to as much as 999.
    """
    descriptor = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
    try:
        score = min(int(os.read(descriptor, 16)) + OOM_SCORE_ADDED, MOST_OOM_SCORE)
        os.pwrite(descriptor, b"%d" % score, 0)
    finally:
        os.close(descriptor)


def _count_of_oom_kills() -> str:
    path = control_group.find("deaths")
    if "oom_kill" not in control_group.read(path):
        raise OSError(ENOSYS, "no memory.events or memory.oom_control can be read")
    return path


def _children() -> None:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        file.read()


def _large_pipes() -> None:
    for descriptor in os.pipe():
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_SIZE)


FILTER: Final = "a newer kernel, or a seccomp profile that permits"

REQUIRED: Final = (
    Feature("pidfd", _process_descriptors, "exits of workers cannot be noticed",
            "Linux 5.4 or newer, and a seccomp profile that permits pidfd_open, pidfd_send_signal, waitid"),
    Feature("memfd", _memory_files, "no /init can be taken", f"{FILTER} memfd_create"),
    Feature("descriptor passing", _descriptor_passing, "connections cannot be assigned to workers",
            f"{FILTER} socketpair, sendmsg, recvmsg on AF_UNIX"),
    Feature("shared memory", _shared_memory, "the requests of a worker that exits are lost",
            "room for one page"),
    Feature("epoll", _epoll, "nothing can be waited for", f"{FILTER} epoll_create1"),
)  # fmt: skip
MEMBARRIER: Final = Feature("membarrier", register_for_barriers,
                            "connections of a worker that hangs wait until it answers",
                            f"{FILTER} membarrier")  # fmt: skip
SUBREAPER: Final = Feature("child subreaper", become_subreaper,
                           "daemons left by an action survive it",
                           f"{FILTER} prctl(PR_SET_CHILD_SUBREAPER)")  # fmt: skip
OPTIONAL: Final = (
    MEMBARRIER,
    SUBREAPER,
    Feature("death signal", _death_signal, "workers outlive a supervisor that is killed",
            f"{FILTER} prctl(PR_SET_PDEATHSIG)"),
    Feature("count of bytes sent", _count_of_bytes,
            "an answer whose worker dies while it is sent may be sent twice, or cut off",
            "a kernel that counts tcpi_bytes_acked and TIOCOUTQ: Linux 4.1 or newer"),
    Feature("oom_score_adj", raise_oom_score,
            "the kernel may take the supervisor when memory runs out",
            "a /proc that can be written to"),
    Feature("count of deaths for memory", _count_of_oom_kills,
            'such an exit is reported as "signal 9", and not as a lack of memory',
            "mount the control group's file system, /sys/fs/cgroup, readable"),
    Feature("list of children", _children, "each death costs a walk over all processes",
            "a kernel with CONFIG_PROC_CHILDREN"),
    Feature("large pipes", _large_pipes, "programs with long answers are slower",
            "a higher fs.pipe-user-pages-soft"),
)  # fmt: skip


def require() -> None:
    """
    Probe the features that hotwhisk requires.

    Raises:
        StartError: a feature is missing. The text says which one, and what to do.
    """
    for feature in REQUIRED:
        try:
            feature.probe()
        except OSError as error:
            raise StartError(
                f"this system has no {feature.name} ({error.strerror}), and without it "
                f"{feature.cost}; needed: {feature.remedy}. hotwhisk doctor checks the rest"
            ) from error
