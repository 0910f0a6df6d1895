"""What the modules of the supervisor share."""

from __future__ import annotations

from collections.abc import Callable

from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.config.config import Config
    from hotwhisk.ipc.scoreboard import Scoreboard
    from hotwhisk.supervisor.loop import EventLoop
    from hotwhisk.supervisor.processes import Processes
    from hotwhisk.supervisor.rollout import Rollout
    from hotwhisk.supervisor.sockets import Sockets
    from hotwhisk.supervisor.stats import Stats
    from hotwhisk.system.system import System


class Parts(Record):
    """
    What a server is made of. ``folder`` is the path below which workers unpack artifacts; ``log``
    writes a line for the operator.
    """

    config: Config
    system: System
    folder: str
    log: Callable[[str], None]
    stats: Stats
    loop: EventLoop
    scoreboard: Scoreboard
    processes: Processes
    sockets: Sockets
    rollout: Rollout

    def remove_closed(self, numbers: list[int]) -> None:
        """Forget the connections that workers have closed."""
        owners = self.rollout.dispatcher.owners
        for number in self.sockets.remove_closed(numbers, owners.is_owned):
            owners.remove(number)
