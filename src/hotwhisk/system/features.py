"""
What hotwhisk asks of the kernel: one function for each feature, which tries it.

The server tries what it cannot do without before it starts, and says what is missing; what it
only profits from is tried where it is set up, and its lack is a weakness that the status names.
``hotwhisk doctor`` tries all of it, each in a process of its own, since a filter of system calls
may end whoever makes one.
"""

from __future__ import annotations

import array
import ctypes
import fcntl
import mmap
import os
import select
import signal
import socket
import struct
from collections.abc import Callable
from errno import ECHILD, ENOSYS
from typing import Final

from hotwhisk.errors import StartError
from hotwhisk.record import Record
from hotwhisk.system import control_group
from hotwhisk.system.tcp import bytes_written

PR_SET_PDEATHSIG: Final = 1
PR_SET_CHILD_SUBREAPER: Final = 36
SYS_MEMBARRIER: Final = {"x86_64": 324, "aarch64": 283, "riscv64": 283}
MEMBARRIER_GLOBAL_EXPEDITED: Final = 1 << 1
MEMBARRIER_REGISTER_GLOBAL_EXPEDITED: Final = 1 << 2
PIPE_SIZE: Final = 1 << 20
WILLING_TO_DIE: Final = 500
MOST_WILLING: Final = 1000


class Feature(Record):
    """
    A thing that the kernel may refuse. ``attempt`` raises OSError if it does; ``cost`` is what
    that means, ``remedy`` what can be done.
    """

    name: str
    attempt: Callable[[], object]
    cost: str
    remedy: str


def call(name: str, *arguments: int) -> None:
    """
    A function of the C library that returns 0 if all is well.

    Raises:
        OSError: it does not.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
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
        if error.errno != ECHILD:  # nobody is one's own child: the call is known
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
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        rights = array.array("i", [ours.fileno()])
        ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        size = socket.CMSG_SPACE(rights.itemsize)
        _, received, _, _ = theirs.recvmsg(1, size, socket.MSG_CMSG_CLOEXEC)
        if not received:
            raise OSError(ENOSYS, "a descriptor that was sent did not arrive")
        os.close(array.array("i", received[0][2])[0])


def _shared_memory() -> None:
    with mmap.mmap(-1, mmap.PAGESIZE) as mapping:
        mapping[0] = 1


def _epoll() -> None:
    select.epoll().close()


def _count_of_bytes() -> None:
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
    Have the kernel take this process before the one it was forked from, when memory runs out.

    What both had is raised: a kubelet gives a container up to 999 from outside.
    """
    with open("/proc/self/oom_score_adj", "r+") as file:
        score = min(int(file.read()) + WILLING_TO_DIE, MOST_WILLING)
        file.seek(0)
        file.write(str(score))


def _count_of_deaths() -> str:
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

NEEDED: Final = (
    Feature(
        "pidfd",
        _process_descriptors,
        "deaths of workers cannot be told",
        "Linux 5.4 or newer, and a seccomp profile that permits pidfd_open, pidfd_send_signal, waitid",
    ),
    Feature("memfd", _memory_files, "no /init can be taken", f"{FILTER} memfd_create"),
    Feature(
        "descriptor passing",
        _descriptor_passing,
        "connections cannot be handed over",
        f"{FILTER} socketpair, sendmsg, recvmsg on AF_UNIX",
    ),
    Feature("shared memory", _shared_memory, "nothing is known of the dead", "room for one page"),
    Feature("epoll", _epoll, "nothing can be waited for", f"{FILTER} epoll_create1"),
)
MEMBARRIER: Final = Feature(
    "membarrier",
    register_for_barriers,
    "connections of a worker that hangs wait until it answers",
    f"{FILTER} membarrier",
)
SUBREAPER: Final = Feature(
    "child subreaper",
    become_subreaper,
    "daemons left by an action survive it",
    f"{FILTER} prctl(PR_SET_CHILD_SUBREAPER)",
)
USEFUL: Final = (
    MEMBARRIER,
    SUBREAPER,
    Feature(
        "death signal",
        _death_signal,
        "workers outlive a supervisor that is killed",
        f"{FILTER} prctl(PR_SET_PDEATHSIG)",
    ),
    Feature(
        "count of bytes sent",
        _count_of_bytes,
        "an answer whose worker dies while it is sent may be sent twice, or cut off",
        "a kernel that counts tcpi_bytes_acked and TIOCOUTQ: Linux 4.1 or newer",
    ),
    Feature(
        "oom_score_adj",
        raise_oom_score,
        "the kernel may take the supervisor when memory runs out",
        "a /proc that can be written to",
    ),
    Feature(
        "count of deaths for memory",
        _count_of_deaths,
        'such a death is told as "signal 9" and not as want of memory',
        "mount the control group's file system, /sys/fs/cgroup, readable",
    ),
    Feature(
        "list of children",
        _children,
        "each death costs a walk over all processes",
        "a kernel with CONFIG_PROC_CHILDREN",
    ),
    Feature(
        "large pipes",
        _large_pipes,
        "programs with long answers are slower",
        "a higher fs.pipe-user-pages-soft",
    ),
)


def require() -> None:
    """
    Try what hotwhisk cannot do without.

    Raises:
        StartError: something of it is missing; the text says what, and what to do.
    """
    for feature in NEEDED:
        try:
            feature.attempt()
        except OSError as error:
            raise StartError(
                f"this system has no {feature.name} ({error.strerror}), and without it "
                f"{feature.cost}; needed: {feature.remedy}. hotwhisk doctor checks the rest"
            ) from error
