"""
The templates that workers leave behind, from the supervisor's side: taken in, watched, buried.

What is lost with one is time, never a worker: see `template`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hotwhisk.channel import Channel
from hotwhisk.messages import FROM_TEMPLATE
from hotwhisk.worker.template import Standby

if TYPE_CHECKING:
    from hotwhisk.messages import Template
    from hotwhisk.supervisor.supervisor import Supervisor


class Nursery:
    """Who takes in the templates of one server."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def adopt(self, generation: int, message: Template, descriptors: Iterable[int]) -> None:
        """A worker that is loading has left a template behind, or says why not."""
        supervisor = self._supervisor
        if message.obstacle:
            supervisor.report.no_template = (generation, message.obstacle)
            return
        end, pidfd = descriptors
        channel = Channel(socket.socket(fileno=end), FROM_TEMPLATE)
        templates, succession = supervisor.crew.templates, supervisor.succession
        if generation in templates or not succession.templated(generation):
            channel.close()  # then it leaves, and is reaped like a stranger
            os.close(pidfd)
            return
        template = Standby(generation, message.pid, pidfd, channel)
        templates[generation] = template
        supervisor.watch(pidfd, lambda: self._ended(template))

    def _ended(self, template: Standby) -> None:
        self._supervisor.unwatch(template.pidfd)
        self._supervisor.crew.bury_template(template)
        self._supervisor.succession.templates.ended(template.generation)
