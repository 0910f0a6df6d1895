"""
The live workers: the state of each, as a table STATE × EVENT → state, and which one is the spare.

Pure. What follows from a step stands in `rollout`. The diagram of the states is drawn from the
table. A pair that is not in the table changes nothing: the message crossed with an exit or a
recall. A slot is a place in the scoreboard; it is used again after the worker's exit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import StrEnum

from hotwhisk.ipc.messages import Stop
from hotwhisk.openwhisk.answers import Cause
from hotwhisk.supervisor.commands import Command, Kill, Label, Recall, Send, StartWorker


class State(StrEnum):
    """The states of a worker."""

    SPARE = "spare"
    """Has no action. It answers or parks what no worker can take, and loads the next version."""
    LOADING = "loading"
    """Loads the action, or is about to be forked from a template."""
    TRIAL = "trial"
    """Has the action of a version on trial, and runs copies of requests; see `trials`."""
    SERVING = "serving"
    """Has the action of the current generation, and takes connections."""
    BUSY = "busy"
    """Is in one run for too long, or answers no ping; its other connections were recalled."""
    DRAINING = "draining"
    """
    Of an earlier generation, or not needed, or in its only run, or a stuck spare. It finishes what
    it has.
    """
    KEPT = "kept"
    """
    Of the version before, with ``--keep-previous``. It finishes what it has, and waits until the
    probation of the current version is over.
    """
    TEMPLATE = "template"
    """Has loaded the action and serves no request; it forks further workers."""
    KILLED = "killed"
    """Was killed, and has not exited yet."""


class Event(StrEnum):
    """The events in a worker's life."""

    LOAD = "load"
    READY = "ready"
    """It has loaded, and needs no trial, or has passed it."""
    TRIED = "tried"
    """It has loaded, and its version is to be tried before it becomes current."""
    FAILED = "failed"
    LOAD_TIMED_OUT = "load timed out"
    """It is neither ready nor failed in time; a template has not forked a worker in time."""
    STUCK = "stuck"
    """
    The worker is in one run for longer than `STUCK_AFTER`, or does not answer a ping.

    For a worker that loads: it has not begun to load.
    """
    RUN_BEGUN = "run begun"
    """A worker that serves one run only has begun it; see `single_run`."""
    NOT_NEEDED = "not needed"
    """
    A spare has its process, and may wait again; see `Rollout.spare_may_wait`. Or a worker was idle
    for long, and the generation has more than it should; see `Scaling`.
    """
    RELEASED = "released"
    """It has released its connections after a recall."""
    DRAIN = "drain"
    """Another generation is current, or the template is not needed any more."""
    KEEP = "keep"
    """Another generation is current, and on probation; with ``--keep-previous``."""
    RESTORED = "restored"
    """A roll-back has made the version of a kept worker current again."""
    RUN_TIMED_OUT = "run timed out"
    """A run is past its deadline, the worker was silent for as long, or a stop waits no longer."""


TABLE: Mapping[tuple[State, Event], State] = {
    (State.SPARE, Event.LOAD): State.LOADING,
    (State.SPARE, Event.STUCK): State.DRAINING,
    (State.SPARE, Event.NOT_NEEDED): State.DRAINING,
    (State.LOADING, Event.READY): State.SERVING,
    (State.LOADING, Event.TRIED): State.TRIAL,
    (State.LOADING, Event.FAILED): State.KILLED,
    (State.LOADING, Event.LOAD_TIMED_OUT): State.KILLED,
    (State.LOADING, Event.STUCK): State.KILLED,
    (State.TRIAL, Event.READY): State.SERVING,
    (State.TRIAL, Event.FAILED): State.KILLED,
    (State.SERVING, Event.STUCK): State.BUSY,
    (State.SERVING, Event.DRAIN): State.DRAINING,
    (State.SERVING, Event.KEEP): State.KEPT,
    (State.SERVING, Event.RUN_BEGUN): State.DRAINING,
    (State.SERVING, Event.NOT_NEEDED): State.DRAINING,
    (State.SERVING, Event.RUN_TIMED_OUT): State.KILLED,
    (State.BUSY, Event.RELEASED): State.SERVING,
    (State.BUSY, Event.DRAIN): State.DRAINING,
    (State.BUSY, Event.KEEP): State.KEPT,
    (State.BUSY, Event.RUN_BEGUN): State.DRAINING,
    (State.BUSY, Event.RUN_TIMED_OUT): State.KILLED,
    (State.DRAINING, Event.RUN_TIMED_OUT): State.KILLED,
    (State.KEPT, Event.RESTORED): State.SERVING,
    (State.KEPT, Event.DRAIN): State.DRAINING,
    (State.KEPT, Event.RUN_TIMED_OUT): State.KILLED,
    (State.TEMPLATE, Event.LOAD_TIMED_OUT): State.KILLED,
    (State.TEMPLATE, Event.DRAIN): State.KILLED,
}


RESERVED_SLOTS = 32
"""Slots that a replacement keeps free, for spares, templates and workers that replace dead ones."""


class Worker:
    """A live worker or template. ``kill_reason`` is set if a request or the stop had it killed."""

    def __init__(self, slot: int, *, is_template: bool = False) -> None:
        self.slot = slot
        self.is_template = is_template
        self.state = State.TEMPLATE if is_template else State.SPARE
        self.generation = 0
        self.folder = 0
        """The generation as which its action was loaded, after which its folder is named."""
        self.digest = ""
        """The digest of the version that it has loaded; empty until it is ready."""
        self.overlap = False
        self.is_tried = False
        """Whether it is on trial, or was ended by it."""
        self.kill_reason: tuple[Cause, str] | None = None

    @property
    def label(self) -> Label | None:
        """Return what its answers say of their version; None until it is ready."""
        return Label(self.generation, self.digest) if self.digest else None

    @property
    def is_loading_or_failed(self) -> bool:
        """Return, for a dead worker, whether it died before it was ready."""
        return self.state is State.LOADING or (
            self.state is State.KILLED and self.kill_reason is None
        )


class Workers:
    """All live workers by slot. One of them is the spare, which exists from the first moment."""

    def __init__(self, slots: int, commands: deque[Command]) -> None:
        self.by_slot: dict[int, Worker] = {}
        self.serving: list[int] = []
        """The workers that can take connections, the first that became ready first."""
        self.templates: dict[int, int] = {}
        """The slot of each generation's template."""
        self._commands = commands
        self._free = deque(range(slots))
        self.banned = 0
        """The latest generation whose workers must not leave a template."""
        self.replace_spare()

    def __getitem__(self, slot: int) -> Worker:
        return self.by_slot[slot]

    def has_room(self, workers: int) -> bool:
        """Return whether so many workers can be started beside all draining workers."""
        return len(self._free) >= RESERVED_SLOTS + workers

    def apply(self, slot: int, event: Event) -> bool:
        """Apply an event to a worker; return False if it means nothing in the worker's state."""
        worker = self.by_slot[slot]
        after = TABLE.get((worker.state, event))
        if after is None:
            return False
        self._forget(worker)
        worker.state = after
        if after is State.SERVING:
            self.serving.append(slot)
        return True

    def _forget(self, worker: Worker) -> None:
        """Take a worker that leaves its state out of the lists of those in this state."""
        if worker.state is State.SERVING:
            self.serving.remove(worker.slot)
        elif worker.state is State.TEMPLATE:
            del self.templates[worker.generation]

    def replace_spare(self) -> None:
        """Start a new spare, because the former one has exited, is stuck or has become a worker."""
        self.spare = self.allocate()
        self._commands.append(StartWorker(self.spare))

    def drain_spare(self) -> None:
        """Have a spare exit that is not needed any more; its process is not replaced yet."""
        if self.apply(self.spare, Event.NOT_NEEDED):
            self._commands.append(Recall(self.spare, drain=True))
            self.replace_spare()

    def allocate(self) -> int:
        """Add a worker, and return its slot; the caller has its process started."""
        slot = self._free.popleft()
        self.by_slot[slot] = Worker(slot)
        return slot

    def add_template(self, generation: int) -> int:
        """Add the template that a worker has left; return its slot."""
        slot = self.allocate()
        self.by_slot[slot] = template = Worker(slot, is_template=True)
        template.generation = generation
        self.templates[generation] = slot
        return slot

    def end_template(self, generation: int) -> None:
        """Kill the template of a generation, if it has one."""
        template = self.templates.get(generation)
        if template is not None and self.apply(template, Event.DRAIN):
            self._commands.append(Kill(template))

    def ban_template(self, generation: int) -> None:
        """Kill the template of a generation, because its workers fail; they leave no other."""
        self.banned = max(self.banned, generation)  # an older generation gets no new workers
        self.end_template(generation)

    def template_timed_out(self, slot: int) -> None:
        """Kill a template that has not forked a worker in time."""
        if self.apply(slot, Event.LOAD_TIMED_OUT):
            self._commands.append(Kill(slot))

    def stop(self, *, with_templates: bool) -> None:
        """Tell all workers that the server stops; ``with_templates``, kill the templates."""
        for slot, worker in self.by_slot.items():
            if not worker.is_template:
                self._commands.append(Send(slot, Stop()))
            elif with_templates:
                self.end_template(worker.generation)

    def remove(self, slot: int) -> Worker:
        """Forget a dead worker, and return it."""
        worker = self.by_slot.pop(slot)
        self._forget(worker)
        self._free.append(slot)
        if slot == self.spare:
            self.replace_spare()
        return worker

    def in_generation(self, generation: int, *states: State) -> list[int]:
        """Return the slots in one of ``states``; without ``states``, those of all workers."""
        return [
            slot
            for slot, worker in self.by_slot.items()
            if worker.generation == generation
            and (worker.state in states if states else not worker.is_template)
        ]

    def use_folder(self, generation: int) -> bool:
        """Return whether a worker uses the folder that is named after a generation."""
        there = self.by_slot.values()
        return any(each.folder == generation and not each.is_template for each in there)


def exit_line(worker: Worker, how: str, *, of_request: bool) -> str:
    """Return the line for a worker's death by ``how``; empty if its reason was logged before."""
    who = f"a worker of generation {worker.generation} was ended"
    cause, detail = worker.kill_reason or (None, "")
    if cause is Cause.TIMED_OUT and of_request:
        return f"{who} by the server, as a request took more than {detail}: its deadline"
    if cause is Cause.TIMED_OUT:
        return f"{who}: it gave no sign of life for {detail} between requests ({how})"
    if cause is not None:
        return f"{who} with the server ({how})"
    if worker.state is State.LOADING:
        return f"a fresh worker of generation {worker.generation} was ended by {how} as it loaded"
    if worker.state is State.KILLED:
        return ""  # it failed to load, and that was logged
    return f"{who} by {how} {'during a request' if of_request else 'between requests'}"
