"""
Fork twice, so that the new process becomes a child of the supervisor, a child subreaper.

The one who forks is not their parent: a process between the two leaves at once, and the kernel
gives the orphan to the nearest child subreaper above, which hears its death like any other.
"""

from __future__ import annotations

import errno
import os

from hotwhisk.system.system import settle


def double_fork(name: str, adopter: int) -> int:
    """
    Fork a process that is not our child but that of ``adopter``, the child subreaper above us:
    its process id, and 0 in itself. By then it has a name and a session of its own, so that it
    is not taken for something that we left behind, should we die the next moment.

    Raises:
        OSError: no process or descriptor could be had.
    """
    pipes: list[int] = []  # two of them: told and tell, gate and key
    try:
        pipes += os.pipe()
        pipes += os.pipe()
        between = os.fork()
        if not between:
            _go_between(name, adopter, pipes)
            return 0
        os.close(pipes.pop(1))
        try:
            os.waitpid(between, 0)
        except ChildProcessError:  # the action's own handler for SIGCHLD was faster
            pass
        pid = int(os.read(pipes[0], 16) or 0)
        os.close(pipes.pop())  # the new process has its new parent, and can go on
        os.read(pipes[0], 1)  # until it is settled, and lets go of the other end
    finally:
        for each in pipes:
            os.close(each)
    if not pid:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return pid


def _go_between(name: str, adopter: int, pipes: list[int]) -> None:
    """
    In the process between: fork, tell and leave, so that the new process is an orphan. Returns
    in the new process, when it is adopted and settled.
    """
    _, tell, gate, _ = pipes
    try:
        pid = os.fork()
        if pid:
            os.write(tell, b"%d" % pid)
        else:
            os.close(pipes.pop())
            os.read(gate, 1)
            if settle(name, adopter):
                return
    except BaseException:  # noqa: BLE001 - nothing of what called us may go on here a second time
        pass
    os._exit(0)
