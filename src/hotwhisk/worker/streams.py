"""
The standard streams of a worker, whatever the action does with their descriptors.

An action may close them: `sys.stdout.close` of a library's stream, a daemon's habit, a `with`
around descriptor 1. Then the number goes to whatever is opened next, and in this process that may
be a client's connection: what the action prints later would be part of somebody's answer. So
a closed one is opened again before anything else can get its number.

It may also point them elsewhere, and that is its own business. But whoever reads the log waits
for the line that ends an activation, so that goes to the streams that the worker was born with.

Weighed: to look after each run (a system call for each request; descriptors come with new
connections only), and to move each connection to a high number (two calls for each).
"""

from __future__ import annotations

import fcntl
import select
from os import dup2
from select import POLLNVAL
from typing import TYPE_CHECKING

from hotwhisk.system.output import Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hotwhisk.system.output import StreamState

STANDARD = (0, 1, 2)


class Streams:
    """
    Duplicates of the standard descriptors, numbered from ``lowest``: out of the action's way.
    ``states`` has the known state of each output stream.
    """

    def __init__(self, lowest: int, states: Mapping[int, StreamState]) -> None:
        self.kept = tuple(fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, lowest) for each in STANDARD)
        self.outputs = {
            number: Output(self.kept[number], state, lowest) for number, state in states.items()
        }
        self._look = select.poll()
        for each in STANDARD:
            self._look.register(each, 0)  # no event: what is closed is told all the same

    def descriptors(self) -> set[int]:
        """Return all descriptors of this object."""
        return {*self.kept, *(each.descriptor for each in self.outputs.values())}

    def reopen_closed(self) -> None:
        """
        Open again what the action has closed; before any descriptor is received or made.

        Raises:
            OSError: it closed the duplicates too, so this worker has to go.
        """
        for number, event in self._look.poll(0):
            if event & POLLNVAL:
                dup2(self.kept[number], number)
