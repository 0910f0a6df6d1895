"""
Find out whether an error of a client's socket means that the client is gone.

Only an error that the kernel reports for a dead peer means that. Code of the
action can also raise an error between our instructions: in a signal handler, a trace function or
another thread. Such an error may be of any class, and TimeoutError is an OSError.
"""

from __future__ import annotations

import errno


class Disconnected(Exception):
    """The client closed or reset the connection."""


PEER_GONE = frozenset({
    errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTDOWN,
    errno.EHOSTUNREACH, errno.ENETDOWN, errno.ENETRESET, errno.ENETUNREACH, errno.ENOTCONN,
    errno.EPIPE, errno.EPROTO, errno.ESHUTDOWN, errno.ETIMEDOUT,
})  # fmt: skip
"""The error numbers by which the kernel reports that the other end is gone."""


def is_from_own_call(error: OSError) -> bool:
    """
    Return whether an error that was just caught came from our own system call.

    If code of the action raised the error, the error has no number, or it has frames of its own
    below the frame that caught it.
    """
    trace = error.__traceback__
    return error.errno is not None and trace is not None and trace.tb_next is None


def would_block(error: OSError) -> bool:
    """Return whether a call of ours would block: there is nothing to read, or no room to write."""
    return error.errno == errno.EAGAIN and is_from_own_call(error)


def disconnected_or(error: OSError) -> Exception:
    """Return Disconnected if the kernel reports that the client is gone, else the same error."""
    return Disconnected() if error.errno in PEER_GONE and is_from_own_call(error) else error
