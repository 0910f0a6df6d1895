"""
Tell what an error of a client's socket means.

Only an error that the kernel reports for a dead peer says something about the client. Code of the
action can also raise an error between our instructions: in a signal handler, a trace function or
another thread. Such an error may be of any class, and TimeoutError is an OSError.
"""

from __future__ import annotations

import errno


class Disconnected(Exception):
    """The client closed or reset the connection."""


DEAD = frozenset({
    errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTDOWN,
    errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETRESET, errno.ENETUNREACH, errno.ENOTCONN,
    errno.EPIPE, errno.EPROTO, errno.ESHUTDOWN, errno.ETIMEDOUT,
})  # fmt: skip
"""The error numbers by which the kernel reports that the other end is gone."""


def is_kernels(error: OSError) -> bool:
    """
    Return whether an error that was just caught came from our own system call.

    If code of the action raised the error, the error has no number, or it has frames of its own
    below the frame that caught it.
    """
    trace = error.__traceback__
    return error.errno is not None and trace is not None and trace.tb_next is None


def is_nothing(error: OSError) -> bool:
    """Return whether the kernel said that no byte can be read now, or that no room is left."""
    return error.errno == errno.EAGAIN and is_kernels(error)


def gone(error: OSError) -> Exception:
    """
    Return the meaning of an error of a client's socket.

    If the kernel says that the other end is dead, the result is Disconnected. Otherwise the result is the
    error itself, which says nothing about the client.
    """
    return Disconnected() if error.errno in DEAD and is_kernels(error) else error
