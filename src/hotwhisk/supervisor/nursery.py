"""
The templates that workers leave behind, from the supervisor's side: taken in, watched, buried.

What is lost with one is time, never a worker: see `template`.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, cast

from hotwhisk.channel import Channel, ChannelClosed, DescriptorsLost
from hotwhisk.messages import FROM_TEMPLATE, ProtocolError
from hotwhisk.supervisor.report import LONGEST_ERROR
from hotwhisk.system.offspring import pid_of
from hotwhisk.worker.template import Standby

if TYPE_CHECKING:
    from hotwhisk.messages import Born, Template
    from hotwhisk.supervisor.supervisor import Supervisor


READ_AT_ONCE = 64
"""Packets that are read from one template before others have their turn."""


class Nursery:
    """Takes in the templates of one server."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def adopt(self, generation: int, message: Template, descriptors: list[int]) -> None:
        """
        Take in the template that a loading worker has left behind, or note why there is none.

        The descriptors that are taken over are removed from the list.

        Raises:
            ProtocolError: the message names no template of this worker.
        """
        supervisor = self._supervisor
        if message.obstacle:
            supervisor.report.no_template = (generation, message.obstacle[:LONGEST_ERROR])
            return
        end, pidfd = descriptors
        if not _is_channel(end):
            raise ProtocolError("the first descriptor of a template is not its channel")
        crew, succession = supervisor.crew, supervisor.succession
        try:
            found = pid_of(pidfd)
        except OSError:
            return  # no descriptor is free, so do without a template
        if found < 0:
            return  # the template is dead already
        if message.pid != found or not crew.can_adopt(message.pid):
            raise ProtocolError(f"process {message.pid} is no template that it left")
        if generation in crew.templates or not succession.templated(generation):
            return  # the caller closes its channel; then it leaves, and is reaped like a stranger
        descriptors.clear()
        # Given the family and type, Python does not ask the system, which might refuse.
        accepted = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, end)
        channel = Channel(accepted, FROM_TEMPLATE)
        self.register(Standby(generation, message.pid, pidfd, channel))

    def register(self, template: Standby) -> None:
        """Take in a template: watch its channel and its end."""
        supervisor, channel, pidfd = self._supervisor, template.channel, template.pidfd
        supervisor.crew.templates[template.generation] = template
        supervisor.watch(pidfd, lambda: self._ended(template))
        supervisor.watch(channel.fileno(), lambda: self._hear(template))
        channel.on_backlog = lambda: self.give_up(template)  # it has left 1 MB of orders unread

    def give_up(self, template: Standby) -> None:
        """End a template that does not do its work; its pending workers are loaded instead."""
        supervisor = self._supervisor
        supervisor.unwatch(template.channel.fileno())
        supervisor.crew.end_template(template.generation)
        supervisor.succession.templates.ended(template.generation)
        for process in supervisor.crew.spawning(template):
            supervisor.succession.not_spawned(process.slot)
        supervisor.carry_out()

    def _hear(self, template: Standby) -> None:
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
                self._spawned(template, cast("Born", received[0]))
        except OSError:  # memory has run out for now: the rest is read at the next tick
            self._supervisor.rest(template.channel.fileno())
        except (ChannelClosed, DescriptorsLost, ProtocolError):
            self.give_up(template)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not end the server
            self._supervisor.tell(f"template {template.pid} is ended: a bug in hotwhisk: {error!r}")
            self.give_up(template)

    def _spawned(self, template: Standby, message: Born) -> None:
        """Take in a worker that a template has forked; if it failed to fork, load the worker."""
        supervisor = self._supervisor
        waiting = {each.slot for each in supervisor.crew.spawning(template)}
        try:
            process = supervisor.crew.spawned(template, message)
        except OSError:
            process = None
        if process is not None:
            supervisor.hearing.attend(process)
        elif message.slot in waiting:
            supervisor.succession.not_spawned(message.slot)
        supervisor.crew.reap_strangers()

    def _ended(self, template: Standby) -> None:
        supervisor = self._supervisor
        self._hear(template)  # workers that it has forked live on
        supervisor.unwatch(template.pidfd)
        self.give_up(template)
        supervisor.crew.bury_template(template)
        supervisor.crew.reap_strangers()


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
