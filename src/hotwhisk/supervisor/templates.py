"""
Check a template that a worker says it has left.

The action can write to the worker's channel. So the process must be a child of the supervisor that
it does not know yet, and the channel must be a socket like ours. If a template is lost, time is
lost, never a worker: see `hotwhisk.worker.template`.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from hotwhisk.ipc.messages import ProtocolError
from hotwhisk.system.children import pid_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotwhisk.ipc.messages import TemplateReady
    from hotwhisk.supervisor.processes import Processes


def is_template(message: TemplateReady, descriptors: Sequence[int], processes: Processes) -> bool:
    """
    Return whether a worker has left the template that it names, with its channel and its pidfd.

    Returns False if the template is dead, or if no descriptor is free to find that out.

    Raises:
        ProtocolError: the message names no template of this worker.
    """
    end, pidfd = descriptors
    if not _is_channel(end):
        raise ProtocolError("the first descriptor of a template is not its channel")
    try:
        found = pid_of(pidfd)
    except OSError:
        return False
    if found < 0:
        return False
    if message.pid != found or not processes.can_adopt(message.pid):
        raise ProtocolError(f"process {message.pid} is no template that it left")
    return True


def _is_channel(descriptor: int) -> bool:
    """Return whether a descriptor is a socket like those of `Channel.pair`, with another end."""
    try:
        end = socket.socket(fileno=descriptor)
    except OSError:
        return False
    try:
        end.getpeername()
    except OSError:
        return False
    finally:
        end.detach()
    return (end.family, end.type) == (socket.AF_UNIX, socket.SOCK_SEQPACKET)
