"""One container of the host: a server, the invoker that calls it, and its counters."""

from __future__ import annotations

import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Self

from hotwhisk.platform import Action, Invoker, Limits, LogRule, LogStream, Names, ProcessRuntime
from hotwhisk.platform.exchange import call
from tests.process import control
from tests.support import tree
from tests.support.rendezvous import Rendezvous

from .activation_kinds import VARIABLES
from .activation_record import Call, differences
from .activation_rules import Expected, expect

ANSWER_TIMEOUT = 30.0
"""Seconds for what is expected at once; after them it is a failure."""


@dataclass(frozen=True)
class Plan:
    """
    How a container is served and called.

    ``share`` of all activations are its own, ``threads`` at a time. If it is not ``kept``, it is
    thrown away after an error, as on the platform; a kept one shows what it does next. ``growth``
    is how many bytes its workers may gain after the warm-up: a heap through which megabytes pass
    keeps some of them, sooner in one process and later in another.
    """

    name: str
    source: str
    share: float
    rule: LogRule = LogRule.DOCKER
    kept: bool = True
    threads: int = 1
    timeout: int = 60_000
    serve: tuple[str, ...] = ()
    env: Mapping[str, str] | None = None
    growth: int = 4 << 20


class Container:
    """A container as a context manager; all its processes have ended afterwards."""

    def __init__(self, plan: Plan, seed: int) -> None:
        self.plan = plan
        self.random = Random(f"{seed} {plan.name}")
        self.folder = Path(tempfile.mkdtemp(prefix="hotwhisk-host-"))
        self.run_dir = self.folder / "run"
        self.mark = f"SERVER_UNDER_TEST={uuid.uuid4().hex}"
        limits = Limits(
            timeout=plan.timeout, logs=1, concurrency=1 if plan.threads == 1 else 2 * plan.threads
        )
        self.action = Action(plan.name.replace(" ", "-"), plan.source, limits=limits)
        self.invoker = Invoker(log_rule=plan.rule, keep_after_error=plan.kept)
        self.meet = Rendezvous()
        self.counts: Counter[str] = Counter()
        self.problems: list[str] = []
        name, _, value = self.mark.partition("=")
        self.runtime = ProcessRuntime(
            [sys.executable, "-m", "hotwhisk", "serve", "--openwhisk", "--host", "127.0.0.1",
             "--port", "{port}", "--run-dir", str(self.run_dir), *plan.serve],
            env={"TMPDIR": str(self.folder / "tmp"), name: value, **(plan.env or {})},
        )  # fmt: skip

    def __enter__(self) -> Self:
        for folder in (self.run_dir, self.folder / "tmp"):
            folder.mkdir(mode=0o700)
        self.runtime.start()
        # Wait until it listens, by the platform's own retries: not every driver begins with an
        # /init.
        call(self.runtime.url, "/", b"{}", limits=(ANSWER_TIMEOUT, 1000), retry=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.runtime.stop()
        self.meet.__exit__(None, None, None)
        for name in sorted(self.folder.rglob("*"), reverse=True):
            name.rmdir() if name.is_dir() and not name.is_symlink() else name.unlink()
        self.folder.rmdir()

    @property
    def port(self) -> int:
        """The port of the server."""
        return int(self.runtime.url.rpartition(":")[2])

    @property
    def logs(self) -> LogStream:
        """The log as it is read."""
        assert self.runtime.logs is not None
        return self.runtime.logs

    @property
    def merged(self) -> bool:
        """Whether the log has one stream for both outputs."""
        return self.plan.rule is LogRule.KUBERNETES

    def environment(self, names: Names) -> dict[str, str]:
        """Return the variables that the runs of an activation must find in their environment."""
        values = {
            "namespace": names.namespace,
            "action_name": f"/{self.action.path}",
            "action_version": self.action.version,
            "activation_id": names.activation,
            "transaction_id": names.transaction,
        }
        return {VARIABLES[name]: value for name, value in values.items()}

    def invoke(
        self, event: object, expected: Expected | None = None, *, settled: bool = True
    ) -> dict[str, object]:
        """
        Make one activation, compare its record, and count its sentinels.

        If it is not ``settled``, the caller checks log and count. The same holds for a container
        whose log is not collected.
        """
        settled = settled and self.plan.threads == 1
        names = self.invoker.new_names()
        cold = self.runtime.pinned is None
        before = Counter() if not self.runtime.started else Counter(self.logs.sentinels_read)
        record = self.invoker.invoke(self.runtime, self.action, event, names=names)
        if expected is None:
            assert isinstance(event, Mapping)
            expected = expect(event, self.environment(names))
        call = Call(self.action, names, cold, self.merged, collected=settled)
        compared = record if settled else {**record, "logs": []}
        self.note(differences(compared, call, expected), event)
        if settled:
            self.account(before, expected.sentinels, event, expected.rest)
        return record

    def account(
        self, before: Counter[str], sentinels: int, event: object, rest: Sequence[str] = ()
    ) -> None:
        """
        Check that each stream has had so many sentinels since ``before``.

        Also check that the rest of the log is ``rest``.
        """
        left = [line.text for line in self.logs.drain() if line.text != SENTINEL]
        problems = []
        if left != list(rest):
            problems.append(f"left in the log: {left[:5]} ({len(left)}), not {len(rest)} lines")
        found = {name: self.logs.sentinels_read[name] - before[name] for name in STREAMS}
        if found != dict.fromkeys(STREAMS, sentinels):
            problems.append(f"sentinels: {found}, not {sentinels} each")
        self.note(problems, event)

    def wait_sentinels(self, before: Counter[str], sentinels: int) -> list[tuple[str, str]]:
        """
        Wait until each stream has had so many sentinels; return the lines that came
        with them.
        """
        end = time.monotonic() + ANSWER_TIMEOUT
        lines = []
        while any(self.logs.sentinels_read[name] - before[name] < sentinels for name in STREAMS):
            line = self.logs.next_line(max(0.0, end - time.monotonic()))
            if line is None:
                break
            lines.append((line.stream, line.text))
        lines += [(line.stream, line.text) for line in self.logs.drain()]
        return [each for each in lines if each[1] != SENTINEL]

    def note(self, problems: Sequence[str], event: object) -> None:
        """Record what is wrong, with the event that caused it."""
        shown = repr(event)
        self.problems += [f"{self.plan.name}: {each}; {shown[:300]}" for each in problems]

    def settle(self) -> control.Status:
        """Wait until the supervisor has handled everything that happened; return its status."""
        return control.wait_until(
            self,
            lambda found: found["connections"] == 0 and not _moving(found),
            "at rest",
            ANSWER_TIMEOUT,
        )

    def left(self) -> set[int]:
        """Return every process that comes from this container."""
        return tree.marked(self.mark)

    def files(self) -> int:
        """Return the number of files and folders in its run folder and where temporary files go."""
        return sum(1 for kept in (self.run_dir, self.folder / "tmp") for _ in kept.rglob("*"))


def _moving(found: dict[str, object]) -> bool:
    generation = found["generation"]
    assert isinstance(generation, dict)
    states = Counter(worker["state"] for worker in generation["workers"])
    return bool(states.keys() - {"serving", "spare"}) or not states["serving"]


SENTINEL = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"
STREAMS = ("stdout", "stderr")
