"""
The templates that workers leave behind, from the supervisor's side: taken in, watched, buried.

What is lost with one is time, never a worker: see `template`.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, cast

from hotwhisk.ipc.channel import Channel, ChannelClosed, DescriptorsLost
from hotwhisk.ipc.messages import FROM_TEMPLATE, ProtocolError
from hotwhisk.server.status import LONGEST_ERROR
from hotwhisk.system.children import pid_of
from hotwhisk.worker.template import Standby

if TYPE_CHECKING:
    from hotwhisk.ipc.messages import Spawned, TemplateReady
    from hotwhisk.supervisor.supervisor import Supervisor


READ_AT_ONCE = 64
"""Packets that are read from one template before others have their turn."""


class TemplateRegistry:
    """Takes in the templates of one server."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def accept(self, generation: int, message: TemplateReady, descriptors: list[int]) -> None:
        """
        Take in the template that a loading worker has left behind, or note why there is none.

        The descriptors that are taken over are removed from the list.

        Raises:
            ProtocolError: the message names no template of this worker.
        """
        supervisor = self._supervisor
        if message.reason:
            supervisor.stats.no_template = (generation, message.reason[:LONGEST_ERROR])
            return
        end, pidfd = descriptors
        if not _is_channel(end):
            raise ProtocolError("the first descriptor of a template is not its channel")
        processes, rollout = supervisor.processes, supervisor.rollout
        try:
            found = pid_of(pidfd)
        except OSError:
            return  # no descriptor is free, so do without a template
        if found < 0:
            return  # the template is dead already
        if message.pid != found or not processes.can_adopt(message.pid):
            raise ProtocolError(f"process {message.pid} is no template that it left")
        if generation in processes.templates or not rollout.template_ready(generation):
            return  # the caller closes its channel; then it leaves, and is reaped like a stranger
        descriptors.clear()
        # Given the family and type, Python does not ask the system, which might refuse.
        accepted = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, end)
        channel = Channel(accepted, FROM_TEMPLATE)
        self.register(Standby(generation, message.pid, pidfd, channel))

    def register(self, template: Standby) -> None:
        """Take in a template: watch its channel and its end."""
        supervisor, channel, pidfd = self._supervisor, template.channel, template.pidfd
        supervisor.processes.templates[template.generation] = template
        supervisor.watch(pidfd, lambda: self._ended(template))
        supervisor.watch(channel.fileno(), lambda: self._receive_from(template))
        channel.on_backlog = lambda: self.give_up(template)  # it has left 1 MB of orders unread

    def give_up(self, template: Standby) -> None:
        """End a template that does not do its work; its pending workers are loaded instead."""
        supervisor = self._supervisor
        supervisor.unwatch(template.channel.fileno())
        supervisor.processes.kill_template(template.generation)
        supervisor.rollout.templates.ended(template.generation)
        for process in supervisor.processes.spawning(template):
            supervisor.rollout.not_spawned(process.slot)
        supervisor.run_commands()

    def _receive_from(self, template: Standby) -> None:
        """
        Read which workers a template has forked.

        The action can write to the template's channel, as to a worker's. So any error in here ends
        the template, and nothing else.
        """
        try:
            for _ in range(READ_AT_ONCE):
                received = template.channel.receive()
                if received is None:
                    return
                self._spawned(template, cast("Spawned", received[0]))
        except OSError:  # memory has run out for now: the rest is read at the next tick
            self._supervisor.rest(template.channel.fileno())
        except (ChannelClosed, DescriptorsLost, ProtocolError):
            self.give_up(template)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not end the server
            self._supervisor.log(f"template {template.pid} is ended: a bug in hotwhisk: {error!r}")
            self.give_up(template)

    def _spawned(self, template: Standby, message: Spawned) -> None:
        """Take in a worker that a template has forked; if it failed to fork, load the worker."""
        supervisor = self._supervisor
        waiting = {each.slot for each in supervisor.processes.spawning(template)}
        try:
            process = supervisor.processes.spawned(template, message)
        except OSError:
            process = None
        if process is not None:
            supervisor.receiver.watch(process)
        elif message.slot in waiting:
            supervisor.rollout.not_spawned(message.slot)
        supervisor.processes.reap_orphans()

    def _ended(self, template: Standby) -> None:
        supervisor = self._supervisor
        self._receive_from(template)  # workers that it has forked live on
        supervisor.unwatch(template.pidfd)
        self.give_up(template)
        supervisor.processes.reap_template(template)
        supervisor.processes.reap_orphans()


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
