"""Receive the signals of the server through a socket, so that its loop acts on them."""

from __future__ import annotations

import _socket
import signal

from hotwhisk.system.signals import HANDLED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.system.signals import Dispositions


def catch_signals(others: Dispositions) -> tuple[_socket.socket, _socket.socket]:
    """
    Catch `HANDLED` signals, and ignore ``others``, which mean nothing to a server.

    Return the socket from which their numbers are read, and the other end, which must stay open.
    """
    ours, theirs = _socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
    signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    for number in HANDLED:
        signal.signal(number, lambda *_: None)  # the wake-up descriptor wakes the loop
    others.ignore()
    # Signals that have waited since the port was opened are delivered now.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
    return ours, theirs


def ignore_stops() -> None:
    """
    Ignore the signals that stop a server, because it has stopped.

    At its exit the interpreter gives every signal with a handler back to the system. One more
    SIGTERM would then end the process by that signal, and its exit status would not be 0.
    """
    for number in HANDLED:
        if number != signal.SIGCHLD:
            signal.signal(number, signal.SIG_IGN)
