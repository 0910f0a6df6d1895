"""
Fork twice, so that the new process becomes a child of the supervisor, a child subreaper.

The caller forks a process, which forks the new process and exits at once. The kernel gives the
orphan to the nearest child subreaper above, which gets its wait status as for any child.
"""

from __future__ import annotations

import errno
import os

from hotwhisk.system.system import setup_child


def double_fork(name: str, adopter: int) -> int:
    """
    Fork a process that becomes a child of ``adopter``, the child subreaper above this process.

    Return its process id here, and 0 in the new process. When this returns, the new process has a
    name and a session of its own. So if this process dies, the new process is not killed as one
    that this process left behind.

    Raises:
        OSError: the system has no process or no descriptor left.
    """
    pipes: list[int] = []  # two pipes: child → us (its process id), us → child (go on)
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
        except ChildProcessError:  # the action's handler for SIGCHLD has waited for it
            pass
        pid = int(os.read(pipes[0], 16) or 0)
        os.close(pipes.pop())  # the new process has its new parent, and can go on
        os.read(pipes[0], 1)  # until it is set up and closes the other end
    finally:
        for each in pipes:
            os.close(each)
    if not pid:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return pid


def _go_between(name: str, adopter: int, pipes: list[int]) -> None:
    """
    In the process in between, fork the new process, write its process id, and exit.

    Return in the new process only, when ``adopter`` is its parent and it is set up.
    """
    _, writing, gate, _ = pipes
    try:
        pid = os.fork()
        if pid:
            os.write(writing, b"%d" % pid)
        else:
            os.close(pipes.pop())
            os.read(gate, 1)
            if setup_child(name, adopter):
                return
    except BaseException:  # noqa: BLE001 - the caller's code must not run twice
        pass
    os._exit(0)
