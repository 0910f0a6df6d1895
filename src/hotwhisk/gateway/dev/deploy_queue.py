"""
Deploy the newest state of each action; no action waits for another one.

Each action that has something to do has a thread. So one whose import does not end holds up no
other. A save while an action waits for its libraries or for a server ends that wait. A save while
it loads waits for the end of the load, since an editor may save faster than the action loads. But
the load may never end. So it is given up when it is older than the *patience* with the action:
twice the time of its last load. A load that is given up doubles it, so in the end one is let end.
One more thread gives up loads, and says which ones take long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from logging import ERROR
from typing import Final

from hotwhisk.gateway.dev.deployment import Deployed, Deployment
from hotwhisk.gateway.dev.project import Source
from hotwhisk.gateway.invocations.load import Load
from hotwhisk.gateway.log import log_event

AT_ONCE: Final = 4
"""Actions that load at a time. One that takes longer than `USUAL` does not count."""
USUAL: Final = 1.0
"""Seconds that most loads take."""
LEAST_PATIENCE: Final = 0.25
"""Seconds. On a server that runs, most loads take less."""
MOST_PATIENCE: Final = 60.0
"""Seconds."""
FIRST_NOTICE: Final = 2.0
"""Seconds after which a line says that a load takes long; the next comes after twice as long."""

Done = Callable[[Deployed, list[str]], None]


@dataclass(slots=True)
class _Wanted:
    """What is to be done: the files that have changed, and whether the action is gone."""

    source: Source
    changed: list[str] = field(default_factory=list)
    gone: bool = False


@dataclass(slots=True)
class _Turn:
    """An action that has something to do. ``began`` is when its present load began, or None."""

    source: Source
    wanted: _Wanted | None
    load: Load = field(default_factory=Load)
    began: float | None = None
    has_place: bool = False
    notice: float = FIRST_NOTICE


class DeployQueue:
    """
    Deploys actions. Any thread may use it; its own threads end with the process.

    ``done`` is called with a version that has become current, and the files that had changed.
    """

    def __init__(self, deployment: Deployment, done: Done) -> None:
        self._deployment = deployment
        self._done = done
        self._news = threading.Condition()
        self._turns: dict[str, _Turn] = {}
        self._patience: dict[str, float] = {}
        """By action, the seconds that a load may take if a newer save waits."""
        self.failed: set[str] = set()
        """The names of the actions whose last version was refused."""
        self._places = threading.Semaphore(AT_ONCE)
        threading.Thread(target=self._oversee, name="deploy", daemon=True).start()

    def put(self, source: Source, changed: Iterable[str]) -> None:
        """Have the present files of an action deployed; ``changed`` names what is new in them."""
        self._want(_Wanted(source, list(changed)))

    def remove(self, source: Source) -> None:
        """Have an action removed."""
        self._want(_Wanted(source, gone=True))

    def _want(self, wanted: _Wanted) -> None:
        name = wanted.source.shown
        with self._news:
            turn = self._turns.get(name)
            if turn is not None:
                turn.wanted = _both(turn.wanted, wanted)
                self._news.notify_all()
                return
            turn = self._turns[name] = _Turn(wanted.source, wanted)
        threading.Thread(target=self._work, args=(name, turn), name="deploy", daemon=True).start()

    def _work(self, name: str, turn: _Turn) -> None:
        """Do what is wanted for an action until nothing is."""
        while (wanted := self._begin(name, turn)) is not None:
            try:
                self._do(turn, wanted)
            except Exception as error:  # noqa: BLE001 - boundary: the next save is another try
                log_event(f"{name} cannot be deployed", level=ERROR, exc_info=error)

    def _do(self, turn: _Turn, wanted: _Wanted) -> None:
        source, deployed = wanted.source, None
        try:
            if wanted.gone:
                self._deployment.remove(source)
            else:
                deployed = self._deployment.deploy(source, wanted.changed, turn.load)
        finally:
            with self._news:
                turn.began = None
                self._leave_place(turn)
                if turn.load.cancelled and turn.wanted is not None:
                    turn.wanted = _both(wanted, turn.wanted)
                (self.failed.discard if deployed or wanted.gone else self.failed.add)(source.shown)
                if deployed is not None:
                    self._patience[source.shown] = 2 * turn.load.worked()
        if deployed is not None:
            self._done(deployed, wanted.changed)

    def _begin(self, name: str, turn: _Turn) -> _Wanted | None:
        """Wait for a place, and return what is wanted then; None if the turn is over."""
        self._places.acquire()
        with self._news:
            turn.has_place = True
            wanted, turn.wanted = turn.wanted, None
            if wanted is None:
                del self._turns[name]
                self._leave_place(turn)
                return None
            turn.source, turn.load = wanted.source, Load()
            turn.began, turn.notice = time.monotonic(), FIRST_NOTICE
            self._news.notify_all()
            return wanted

    def _leave_place(self, turn: _Turn) -> None:
        if turn.has_place:
            turn.has_place = False
            self._places.release()

    def _oversee(self) -> None:
        """Give up loads and say which take long; what takes a while is done without the lock."""
        while True:
            with self._news:
                now = time.monotonic()
                running = [each for each in self._turns.values() if each.began is not None]
                due: list[Callable[[], None]] = []
                waits = [self._attend(each, now, due) for each in running]
                if not due:
                    self._news.wait(min(waits, default=None))
            for work in due:
                try:
                    work()
                except Exception as error:  # noqa: BLE001 - boundary: other loads need this thread
                    log_event("a load cannot be overseen", level=ERROR, exc_info=error)

    def _attend(self, turn: _Turn, now: float, due: list[Callable[[], None]]) -> float:
        """Add to ``due`` what is to be done for a load; return the seconds until there is more."""
        assert turn.began is not None, "nothing runs"
        age, load, source = now - turn.began, turn.load, turn.source
        moments = [turn.notice]
        if turn.wanted is not None and not load.cancelled:
            left = self._patience_left(turn)
            moments.append(age + min(left, LEAST_PATIENCE))  # in the meantime it may begin to wait
            if left <= 0:
                due.append(load.cancel)
        if turn.has_place:
            moments.append(USUAL)
            if age >= USUAL:
                self._leave_place(turn)
        if age >= turn.notice:
            turn.notice *= 2
            if not load.cancelled:
                due.append(lambda: self._deployment.still_loading(source, load, age))
        return min((each - age for each in moments if each > age), default=0.0)

    def _patience_left(self, turn: _Turn) -> float:
        """Return how long a save still waits for a load; if no longer, the next waits longer."""
        if turn.load.waits or (turn.wanted is not None and turn.wanted.gone):
            return 0.0
        name = turn.source.shown
        patience = max(self._patience.get(name, 0.0), LEAST_PATIENCE)
        left = patience - turn.load.worked()
        if left <= 0:
            self._patience[name] = min(2 * patience, MOST_PATIENCE)
        return left


def _both(first: _Wanted | None, then: _Wanted) -> _Wanted:
    """Return what is to be done if ``first`` was wanted and not done."""
    if first is None or first.gone or then.gone:
        return then
    return _Wanted(then.source, list(dict.fromkeys([*first.changed, *then.changed])))
