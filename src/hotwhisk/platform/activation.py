"""
Run one activation from its arrival to its record.

The pool of the real invoker is reduced to its simplest form. There is one runtime. It is thrown
away after an error that is not the application's, and after a log that could not be read; the next
activation starts it again. An idle runtime that cannot be reached, or answers 503, is thrown away
too, and the same activation goes to the new one.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

from hotwhisk.platform import texts
from hotwhisk.platform.action import Action, Names, init_body, run_body
from hotwhisk.platform.exchange import HttpAnswer, NoAnswer, Outcome, call
from hotwhisk.platform.logs import Collected, LogRule, collect
from hotwhisk.platform.runtime import Runtime
from hotwhisk.platform.verdict import Status, Verdict, error, is_unhealthy, judge_init, judge_run


@dataclass(frozen=True, slots=True)
class _Call:
    """The data that stay the same when an activation moves to a fresh container."""

    action: Action
    names: Names
    argument: object
    arrival: float


class Activated(NamedTuple):
    """
    The record of an activation, and whether the action was loaded for it.

    ``loaded`` is None if no ``/init`` was needed, and False if it failed.
    """

    record: dict[str, object]
    loaded: bool | None


class Invoker:
    """
    Calls runtimes as the platform does.

    With ``keep_after_error`` a runtime is kept after an error, so that a test can see what it does
    next. The platform would remove it. With ``keep_spaces`` the lines of the log stay as they are.
    """

    def __init__(
        self,
        *,
        namespace: str = "guest",
        log_rule: LogRule = LogRule.DOCKER,
        keep_after_error: bool = False,
        keep_spaces: bool = False,
    ) -> None:
        self._namespace = namespace
        self._log_rule = log_rule
        self._keep_after_error = keep_after_error
        self._keep_spaces = keep_spaces

    def invoke(
        self,
        runtime: Runtime,
        action: Action,
        parameters: object = None,
        *,
        names: Names | None = None,
    ) -> dict[str, object]:
        """
        Invoke the action, after an ``/init`` if the runtime needs one, and return the record.

        Many threads may call this. They wait for one another unless the action allows more than one
        activation at a time.
        """
        return self.activate(runtime, action, parameters, names=names).record

    def activate(
        self,
        runtime: Runtime,
        action: Action,
        parameters: object = None,
        *,
        names: Names | None = None,
    ) -> Activated:
        """Do the same; also return how the ``/init`` went."""
        if names is None:
            names = self.new_names()
        argument = action.argument({} if parameters is None else parameters)
        wanted = _Call(action, names, argument, time.time())
        with _turn(runtime, action):
            activated = self._attempt(runtime, wanted)
            if activated is None:
                activated = self._attempt(runtime, wanted)
            assert activated is not None, "a fresh container cannot be idle"
            return activated

    def replace(self, runtime: Runtime, action: Action) -> dict[str, object] | None:
        """
        Post an ``/init`` to a runtime that is started, whether or not it has an action already.

        A runtime that takes a second ``/init`` has the new action from then on. If it refuses,
        return the record of an activation that failed in this way; the runtime goes on with what it
        had, if it lives on.
        """
        wanted = _Call(action, self.new_names(), {}, time.time())
        with runtime.lock:
            runtime.resume()
            init = self._initialize(runtime, wanted)
            verdict = _judge_init(runtime, action, init)
            if verdict is None:
                runtime.pinned = action
                return None
            return self._finish(runtime, wanted, verdict, init, None).record

    def new_names(self) -> Names:
        """Return fresh identifiers for an activation."""
        return Names(secrets.token_hex(16), secrets.token_hex(16), self._namespace)

    def _attempt(self, runtime: Runtime, wanted: _Call) -> Activated | None:
        """Go to the present runtime; return None if the activation must go to a fresh one."""
        action = wanted.action
        with runtime.lock:
            warm = runtime.started and runtime.pinned == action
            runtime.resume()
            if not warm and runtime.pinned is not None and _must_restart(runtime, action):
                runtime.stop()
            fresh = not runtime.started
            if fresh:
                runtime.start()
            init = None if warm else self._initialize(runtime, wanted)
            if init is not None:
                if _is_gone(init) and runtime.listens and not fresh:
                    runtime.stop()
                    return None
                verdict = _judge_init(runtime, action, init)
                if verdict is not None:
                    return self._finish(runtime, wanted, verdict, init, None)
                runtime.pinned = action
        body = run_body(action, wanted.names, _deadline(action), wanted.argument)
        run = _post(runtime, "/run", body, action, retry=False)
        gone = _is_gone(run)
        if gone and warm and runtime.can_restart:
            with runtime.lock:
                runtime.stop()
            return None
        if gone and (warm or is_unhealthy(run)):
            verdict = error(Status.WHISK_ERROR, texts.UNHEALTHY)
        else:
            verdict = judge_run(run, action.limits, runtime.out_of_memory)
        return self._finish(runtime, wanted, verdict, init, run)

    def _initialize(self, runtime: Runtime, wanted: _Call) -> Outcome:
        action = wanted.action
        body = init_body(action, wanted.names, _deadline(action))
        return _post(runtime, "/init", body, action, retry=not runtime.listens)

    def _finish(
        self,
        runtime: Runtime,
        wanted: _Call,
        verdict: Verdict,
        init: Outcome | None,
        run: Outcome | None,
    ) -> Activated:
        first, last = init or run, run or init
        assert first is not None
        assert last is not None
        alive = runtime.lives_on and isinstance(last.answer, HttpAnswer) and not verdict.timed_out
        collected = self._collect(runtime, wanted.action, verdict, alive=alive)
        fatal = verdict.status in (Status.DEVELOPER_ERROR, Status.WHISK_ERROR) and not alive
        if (fatal or not collected.complete) and not self._keep_after_error and runtime.can_restart:
            with runtime.lock:
                runtime.discard()
        timing = Timing(wanted.arrival, first.begin, last.end, init.seconds if init else None)
        logs = collected.shown(keep_spaces=self._keep_spaces)
        record = activation_record(wanted.action, wanted.names, verdict, timing, logs)
        return Activated(record, None if init is None else run is not None)

    def _collect(
        self, runtime: Runtime, action: Action, verdict: Verdict, *, alive: bool
    ) -> Collected:
        if runtime.logs is None:
            return Collected(())
        rule = self._log_rule if action.limits.concurrency == 1 else LogRule.NONE
        failed = verdict.status is Status.DEVELOPER_ERROR
        wait = action.sentinelled and verdict.status is not Status.WHISK_ERROR
        wait = wait and (alive or not failed)
        return collect(
            runtime.logs, rule, action.limits.logs, wait=wait, failed=failed, lag=runtime.log_lag
        )


def _post(runtime: Runtime, path: str, body: bytes, action: Action, *, retry: bool) -> Outcome:
    limits = (action.limits.timeout / 1000, action.limits.response)
    return call(runtime.url, path, body, limits=limits, retry=retry, token=runtime.token)


def _must_restart(runtime: Runtime, action: Action) -> bool:
    """Return whether a runtime that has an action cannot take this one."""
    assert runtime.pinned is not None
    if runtime.lives_on:
        return (runtime.pinned.namespace, runtime.pinned.name) != (action.namespace, action.name)
    return runtime.can_restart


@contextmanager
def _turn(runtime: Runtime, action: Action) -> Iterator[None]:
    """Let one activation in at a time, until its log is read; or many, if the action allows it."""
    with runtime.lock if action.limits.concurrency == 1 else nullcontext():
        yield


def _is_gone(outcome: Outcome) -> bool:
    """Return whether the runtime is leaving, or has left."""
    refused = isinstance(outcome.answer, NoAnswer) and outcome.answer.refused
    return refused or is_unhealthy(outcome)


def _judge_init(runtime: Runtime, action: Action, init: Outcome) -> Verdict | None:
    if is_unhealthy(init):
        return error(Status.WHISK_ERROR, texts.UNHEALTHY)
    return judge_init(init, action.limits, runtime.out_of_memory)


def _deadline(action: Action) -> int:
    return int(time.time() * 1000) + action.limits.timeout


@dataclass(frozen=True, slots=True)
class Timing:
    """When an activation came, and when each part of it began and ended, in epoch seconds."""

    arrival: float
    begin: float
    end: float
    init: float | None = None
    """Seconds that ``/init`` took; None for a container that was initialised already."""


def activation_record(
    action: Action, names: Names, verdict: Verdict, timing: Timing, logs: list[str]
) -> dict[str, object]:
    """Put the parts of a record together."""
    annotations: list[dict[str, object]] = [
        {"key": "path", "value": action.path},
        {"key": "waitTime", "value": _milliseconds(timing.begin - timing.arrival)},
        {"key": "kind", "value": action.kind},
        {"key": "timeout", "value": verdict.timed_out},
        {"key": "limits", "value": action.limits.shown()},
    ]
    if timing.init is not None:
        annotations.append({"key": "initTime", "value": _milliseconds(timing.init)})
    start = int(timing.begin * 1000)  # rounded down like the deadline, so never after it
    duration = _milliseconds(timing.end - timing.begin)
    return {
        "namespace": names.namespace,
        "name": action.name.rpartition("/")[2],
        "version": action.version,
        "subject": names.namespace,
        "activationId": names.activation,
        "start": start,
        "end": start + duration,
        "duration": duration,
        "statusCode": int(verdict.status),
        "response": verdict.shown(),
        "logs": logs,
        "annotations": annotations,
        "publish": False,
    }


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))
