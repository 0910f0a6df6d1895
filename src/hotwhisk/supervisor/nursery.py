"""
The templates that workers leave behind, from the supervisor's side: taken in, watched, buried.

What is lost with one is time, never a worker: see `template`.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from hotwhisk.channel import Channel
from hotwhisk.messages import FROM_TEMPLATE, ProtocolError
from hotwhisk.system.offspring import pid_of
from hotwhisk.worker.template import Standby

if TYPE_CHECKING:
    from hotwhisk.messages import Template
    from hotwhisk.supervisor.supervisor import Supervisor


class Nursery:
    """Who takes in the templates of one server."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def adopt(self, generation: int, message: Template, descriptors: list[int]) -> None:
        """
        A worker that is loading has left a template behind, or says why not. The descriptors
        that are taken over are removed from the list.

        Raises:
            ProtocolError: there is no such template.
        """
        supervisor = self._supervisor
        if message.obstacle:
            supervisor.report.no_template = (generation, message.obstacle)
            return
        end, pidfd = descriptors
        if not _is_channel(end):
            raise ProtocolError("the first descriptor of a template is not its channel")
        crew, succession = supervisor.crew, supervisor.succession
        found = pid_of(pidfd)
        if found < 0:
            return  # it is dead already
        if message.pid != found or not crew.can_adopt(message.pid):
            raise ProtocolError(f"process {message.pid} is no template that it left")
        templates = crew.templates
        if generation in templates or not succession.templated(generation):
            return  # its channel is closed, then it leaves and is reaped like a stranger
        descriptors.clear()
        channel = Channel(socket.socket(fileno=end), FROM_TEMPLATE)
        template = Standby(generation, message.pid, pidfd, channel)
        templates[generation] = template
        supervisor.watch(pidfd, lambda: self._ended(template))

    def _ended(self, template: Standby) -> None:
        self._supervisor.unwatch(template.pidfd)
        self._supervisor.crew.bury_template(template)
        self._supervisor.succession.templates.ended(template.generation)


def _is_channel(descriptor: int) -> bool:
    """Whether a descriptor is a socket like those of `Channel.pair`, with another end."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as end:
            end.getpeername()
            return (end.family, end.type) == (socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except OSError:
        return False
