"""
Processes that are born as children of the supervisor's, whoever forks them.

The one who forks is not their parent: a process between the two leaves at once, and the kernel
gives the orphan to the nearest child subreaper above, which hears its death like any other.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from hotwhisk.system.system import settle


def fork_adopted(name: str, adopter: int) -> int:
    """
    Fork a process that is not our child but that of ``adopter``, the child subreaper above us:
    its process id, and 0 in itself.

    Raises:
        OSError: no process or descriptor could be had.
    """
    pipes: list[int] = []
    try:
        pipes += os.pipe()
        pipes += os.pipe()
        between = os.fork()
        if not between:
            _go_between(name, adopter, pipes)
            return 0
        os.close(pipes[1])
        del pipes[1]
        try:
            os.waitpid(between, 0)
        except ChildProcessError:  # the action's own handler for SIGCHLD was faster
            pass
        pid = int(os.read(pipes[0], 16) or 0)
    except Exception:
        _close(pipes)
        raise
    # With the last end of the second pipe: the new process has its new parent, and can go on.
    os.close(pipes.pop())
    # It closes the first when it is settled. Until then it is in our process group, and whoever
    # ended that would end it too.
    os.read(pipes[0], 1)
    _close(pipes)
    if not pid:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return pid


def _go_between(name: str, adopter: int, pipes: list[int]) -> None:
    """
    In the process between: fork, tell and leave, so that the new process is an orphan. Returns
    in the new process, when it is adopted and settled.
    """
    told, tell, gate, key = pipes
    try:
        pid = os.fork()
        if pid:
            os.write(tell, b"%d" % pid)
        else:
            _close((told, key))
            os.read(gate, 1)
            settled = settle(name, adopter)
            _close((gate, tell))
            if settled:
                return
    except BaseException:  # noqa: BLE001 - nothing of what called us may go on here a second time
        pass
    os._exit(0)


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
