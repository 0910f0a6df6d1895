"""
A program that starts another under a filter of system calls: ``seccomp.py deny ENOSYS NAMES …``.

    deny ERRNO NAME,NAME COMMAND...     these fail, all others work
    skip NAME,NAME COMMAND...           these do nothing and succeed, all others work
    kill NAME,NAME COMMAND...           a process that makes one of these is ended by SIGSYS
    allow ERRNO FILE COMMAND...         those in FILE, one a line, work; all others fail
    ask PIPE NAME,NAME COMMAND...       the kernel asks another process about each call
                                        (seccomp_unotify(2)). The number of the descriptor for the
                                        questions is written to PIPE. NAMEs must include openat

The filter is made by libseccomp, as container engines and systemd make theirs, and is inherited by
every process below. A name that this architecture does not have is ignored, as they do.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

ALLOW = 0x7FFF0000
FAIL = 0x00050000
KILL_PROCESS = 0x80000000
NOTIFY = 0x7FC00000
UNKNOWN = -1


def library() -> ctypes.CDLL:
    """
    Return libseccomp, which every distribution has in a package of that name; apt needs
    it too.
    """
    try:
        loaded = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    except OSError as error:
        sys.exit(f"libseccomp is needed for a filter of system calls: {error}")
    loaded.seccomp_init.restype = ctypes.c_void_p
    loaded.seccomp_init.argtypes = [ctypes.c_uint32]
    loaded.seccomp_rule_add.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint,
    ]  # fmt: skip
    loaded.seccomp_load.argtypes = [ctypes.c_void_p]
    loaded.seccomp_notify_fd.argtypes = [ctypes.c_void_p]
    return loaded


def install(default: int, action: int, names: list[str]) -> int:
    """
    Set the action for ``names`` in this process and every process below, the default for all
    others.

    If ``action`` is NOTIFY, return the descriptor on which the kernel asks; else -1.
    """
    loaded = library()
    context = loaded.seccomp_init(default)
    known = 0
    for name in names:
        number = loaded.seccomp_syscall_resolve_name(name.encode())
        # Numbers below -1 are calls of other architectures.
        if number > UNKNOWN:
            known += not loaded.seccomp_rule_add(context, action, number, 0)
    if not known or loaded.seccomp_load(context):
        sys.exit(f"no filter could be made of {len(names)} names")
    return int(loaded.seccomp_notify_fd(context)) if action == NOTIFY else -1


def main(arguments: list[str]) -> None:
    """Install the filter and become the command."""
    what, *rest = arguments
    failing = 0
    if what == "ask":
        pipe, given, *command = rest
        number = os.open(pipe, os.O_WRONLY)
        # By a call that no test asks about, because nothing answers yet.
        os.writev(number, [b"%d" % install(ALLOW, NOTIFY, given.split(","))])
        # This openat is one of the calls. It is answered only when the other process has
        # a duplicate
        # of the descriptor, which this process loses when it becomes the command.
        os.open(os.devnull, os.O_RDONLY)
        os.execvp(command[0], command)
    if what == "skip":
        failing = FAIL  # with errno 0
    elif what != "kill":
        failing = FAIL | getattr(errno, rest.pop(0))
    given, *command = rest
    if what == "allow":
        with open(given, encoding="ascii") as file:
            install(failing, ALLOW, file.read().split())
    else:
        install(ALLOW, failing or KILL_PROCESS, given.split(","))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
