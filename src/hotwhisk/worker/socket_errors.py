"""
What an error of a client's socket means.

Only what the kernel says of a dead peer is a statement about the client. Between our instructions
code of the action can raise as well: a signal handler, a trace function, another thread. An error
of such an origin may be of any class, TimeoutError is an OSError.
"""

from __future__ import annotations

import errno


class Gone(Exception):
    """The client closed or reset the connection."""


DEAD = frozenset({
    errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTDOWN,
    errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETRESET, errno.ENETUNREACH, errno.ENOTCONN,
    errno.EPIPE, errno.EPROTO, errno.ESHUTDOWN, errno.ETIMEDOUT,
})  # fmt: skip
"""What the kernel says of a connection whose other end is gone."""


def is_kernels(error: OSError) -> bool:
    """
    Whether an error that was just caught came from our own system call. One that code of the
    action raised in between has no number, or frames of its own below the one that caught it.
    """
    trace = error.__traceback__
    return error.errno is not None and trace is not None and trace.tb_next is None


def is_nothing(error: OSError) -> bool:
    """Whether the kernel said that there is nothing to read now, or no room to write."""
    return error.errno == errno.EAGAIN and is_kernels(error)


def gone(error: OSError) -> Exception:
    """
    What an error of a client's socket means: Gone where the kernel says that its other end is
    dead; else the error itself, which is no statement about the client.
    """
    return Gone() if error.errno in DEAD and is_kernels(error) else error
