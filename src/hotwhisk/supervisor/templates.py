"""
The templates that workers leave, and the workers that templates fork.

The action can write to the worker's channel. So a template must be a child of the supervisor that
it does not know yet, and its channel must be a socket like ours. If a template is lost, time is
lost, never a worker: see `hotwhisk.worker.template`.
"""

from __future__ import annotations

import _socket

from hotwhisk.ipc.messages import ProtocolError
from hotwhisk.supervisor.log_events import LogEvent
from hotwhisk.supervisor.stats import LONGEST_ERROR
from hotwhisk.system.children import pid_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from hotwhisk.ipc.messages import Spawned, TemplateReady
    from hotwhisk.supervisor.parts import Parts
    from hotwhisk.supervisor.process import Process
    from hotwhisk.supervisor.processes import Processes


class Templates:
    """Takes the messages about templates: that one was left, and that it forked a worker."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def template_left(
        self, generation: int, message: TemplateReady, descriptors: list[int]
    ) -> Process | None:
        """
        Add the template that a loading worker has left, or record why there is none.

        Returns None if there is none, or if it is not needed. Then the caller closes the
        ``descriptors``, so the template exits, and is reaped as an orphan. If it is added, its
        descriptors are removed from the list.

        Raises:
            ProtocolError: the message names no template of this worker.
        """
        processes = self._parts.processes
        if message.reason:
            self._record(generation, message.reason[:LONGEST_ERROR])
            return None
        if not _is_template(message, descriptors, processes):
            return None
        slot = self._parts.rollout.template_ready(generation)
        if slot is None:
            return None
        end, pidfd = descriptors
        descriptors.clear()
        return processes.add_template(slot, generation, message.pid, (end, pidfd))

    def _record(self, generation: int, reason: str) -> None:
        """Record why a generation has no template; log it once where that costs each run a load."""
        if self._parts.config.fresh and self._parts.stats.no_template[0] != generation:
            self._parts.log(
                f"generation {generation} is loaded anew for each run, since its process cannot be "
                f"forked: {reason}; what opens it belongs into a function with @on_startup",
                LogEvent.NO_TEMPLATE,
            )
        self._parts.stats.no_template = (generation, reason)

    def worker_spawned(self, template: Process, message: Spawned) -> Process | None:
        """Return the worker that a template has forked; if it failed to fork, have it loaded."""
        processes = self._parts.processes
        waiting = {each.slot for each in processes.pending_spawns(template)}
        try:
            process = processes.add_spawned(template, message)
        except OSError:
            process = None
        if process is None and message.slot in waiting:
            self._parts.rollout.not_spawned(message.slot)
        processes.reap_orphans()
        return process


def _is_template(message: TemplateReady, descriptors: Sequence[int], processes: Processes) -> bool:
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
        end = _socket.socket(fileno=descriptor)
    except OSError:
        return False
    try:
        end.getpeername()
    except OSError:
        return False
    finally:
        end.detach()
    return (end.family, end.type) == (_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
