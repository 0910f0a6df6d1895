"""What the modules of the supervisor share."""

from __future__ import annotations

from hotwhisk.ipc import messages
from hotwhisk.ipc.counters import Counts
from hotwhisk.ipc.messages import ProtocolError
from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from hotwhisk.config.config import Config
    from hotwhisk.ipc.messages import LogOpened
    from hotwhisk.ipc.scoreboard import Scoreboard
    from hotwhisk.supervisor.action_output import ActionOutput
    from hotwhisk.supervisor.commands import Restore
    from hotwhisk.supervisor.json_lines import WritingProcess
    from hotwhisk.supervisor.log_events import LogEvent
    from hotwhisk.supervisor.loop import EventLoop
    from hotwhisk.supervisor.process import Process
    from hotwhisk.supervisor.processes import Processes
    from hotwhisk.supervisor.rollout import Rollout
    from hotwhisk.supervisor.sockets import Sockets
    from hotwhisk.supervisor.stats import Stats
    from hotwhisk.system.system import System

    class Log(Protocol):
        """Writes a line for the operator; ``event`` names it in a log of JSON."""

        def __call__(self, text: str, event: LogEvent) -> None:
            """Write the line."""


class Parts(Record):
    """
    What a server is made of. ``folder`` is the path below which workers unpack artifacts; ``log``
    writes a line for the operator. ``output`` is None if the log is text.
    """

    config: Config
    system: System
    folder: str
    log: Log
    stats: Stats
    loop: EventLoop
    scoreboard: Scoreboard
    processes: Processes
    sockets: Sockets
    rollout: Rollout
    output: ActionOutput | None = None

    def origin(self, process: Process) -> WritingProcess:
        """Describe a worker's process, for a log of JSON."""
        from hotwhisk.supervisor.json_lines import WritingProcess  # only for that log

        worker = self.rollout.workers.by_slot.get(process.slot)
        digest, tried = (worker.digest, worker.is_tried) if worker is not None else ("", False)
        return WritingProcess(process.generation, digest, process.pid, tried)

    def living_counts(self) -> list[tuple[int, tuple[Counts, int]]]:
        """Return what each living worker has counted, with its generation."""
        return [
            (worker.generation, Counts.of_block(self.scoreboard.counters.block(slot)))
            for slot, worker in self.rollout.workers.by_slot.items()
            if not worker.is_template
        ]

    def restore(self, command: Restore) -> None:
        """Have a kept worker serve again, as one of another generation."""
        process, counters = self.processes.by_slot[command.worker], self.scoreboard.counters
        words = counters.block(command.worker)
        self.stats.totals.add(process.generation, Counts.of_block(words))
        words.release()
        counters.clear(command.worker)  # it has no connection, so it counts nothing meanwhile
        process.generation = command.generation
        process.channel.send(messages.Restore(command.generation, command.digest))

    def compared_counts(self) -> tuple[Counts, Counts]:
        """Return the counts of the version on probation, and those of the one before it."""
        probation, totals = self.rollout.probation, self.stats.totals
        living = self.living_counts()
        return (
            totals.sum_of(probation.current.number, living),
            totals.sum_of(probation.before.number, living),
        )

    def open_output(self, process: Process, message: LogOpened, descriptors: list[int]) -> None:
        """
        Read the pipes of a worker from now on.

        Raises:
            ProtocolError: the log is text, or these are no pipes.
        """
        if self.output is None:
            raise ProtocolError("the log is text, so a worker opens none")
        self.output.open(process, message.token, descriptors)

    def remove_closed(self, numbers: list[int]) -> None:
        """Forget the connections that workers have closed."""
        owners = self.rollout.dispatcher.owners
        for number in self.sockets.remove_closed(numbers, owners.is_owned):
            owners.remove(number)


def describe_bug() -> str:
    """Return a text for the log on the exception that is being handled, with its traceback."""
    import traceback  # seldom needed, and it imports ten other modules

    return f"a bug in hotwhisk, please report it: {traceback.format_exc()}"
