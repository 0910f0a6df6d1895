"""
Run activations in threads, and keep their records.

The rules are those of the platform's invoker, which `hotwhisk.platform` models: this module only
chooses the server and stores what came of it.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from hotwhisk.gateway.invocations.resolve import Resolved, annotation
from hotwhisk.gateway.runtimes.pool import Pool, Slot
from hotwhisk.gateway.store.activations import StoredActivation
from hotwhisk.gateway.store.namespaces import Namespace
from hotwhisk.gateway.store.store import Store
from hotwhisk.platform import Action, Invoker, Limits, Names

_THREADS: Final = 256


@dataclass(frozen=True, slots=True)
class Call:
    """
    One call of an action.

    ``caller`` is the namespace for which it runs. ``argument`` is what was sent, without the
    defaults. ``cause`` is the activation of which this is a part, such as that of a sequence.
    """

    caller: Namespace
    resolved: Resolved
    argument: object = field(hash=False)
    names: Names
    cause: str | None = None


class Invocations:
    """Runs calls. Any thread may use it."""

    def __init__(self, store: Store, pool: Pool) -> None:
        self._store = store
        self._pool = pool
        self._invoker = Invoker()
        self._threads = ThreadPoolExecutor(_THREADS, "activation")
        self._running: set[Future[StoredActivation]] = set()
        self._changed = threading.Condition()

    def call(self, caller: Namespace, resolved: Resolved, argument: object) -> Call:
        """Return a call with a fresh activation id. Nothing runs yet."""
        names = self._invoker.new_names()
        names = Names(names.activation, names.transaction, caller.name)
        return Call(caller, resolved, argument, names)

    def start(self, call: Call) -> Future[StoredActivation]:
        """Begin a call in a thread of its own; the future ends when its record is stored."""
        future = self._threads.submit(self.run, call)
        with self._changed:
            self._running.add(future)
        future.add_done_callback(self._ended)
        return future

    def wait_idle(self) -> None:
        """Wait until no activation runs."""
        with self._changed:
            self._changed.wait_for(lambda: not self._running)

    def run(self, call: Call) -> StoredActivation:
        """Run a call and store its record."""
        stored = call.resolved.action
        merged = call.argument
        if isinstance(merged, dict):
            merged = {**call.resolved.parameters, **merged}
        concurrency = stored.document["limits"]["concurrency"]
        with self._pool.lease((call.caller.name, stored.path), concurrency) as slot:
            action = self._prepare(slot, call)
            record = self._invoker.invoke(slot.runtime, action, merged, names=call.names)
        if call.cause is not None:
            record["cause"] = call.cause
        activation = StoredActivation(record, merged, stored.revision, stored.package)
        init = activation.annotation("initTime")
        if init is not None:
            self._store.actions.loaded(stored.revision, init)
        self._store.activations.add(activation)
        return activation

    def close(self) -> None:
        """Take no further call, and wait for none."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ended(self, future: Future[StoredActivation]) -> None:
        with self._changed:
            self._running.discard(future)
            self._changed.notify_all()

    def _prepare(self, slot: Slot, call: Call) -> Action:
        """Return the action as the invoker takes it; its code is read once for each server."""
        stored = call.resolved.action
        variables = call.resolved.variables
        if isinstance(slot.prepared, _Prepared) and slot.prepared.fits(stored.revision, variables):
            return slot.prepared.action
        action = self._platform_action(call)
        slot.prepared = _Prepared(stored.revision, variables, action)
        return action

    def _platform_action(self, call: Call) -> Action:
        stored = call.resolved.action
        document = stored.document
        wants_key = annotation(document["annotations"], "provide-api-key")
        return Action(
            f"{stored.package}/{stored.name}" if stored.package else stored.name,
            self._store.actions.code(stored.digest) if stored.digest else None,
            main=document["exec"].get("main") or "main",
            namespace=stored.namespace,
            version=stored.version,
            kind=document["exec"]["kind"],
            init_parameters=call.resolved.variables,
            limits=limits(document["limits"]),
            api_key=call.caller.auth if wants_key is True else None,
        )


@dataclass(frozen=True, slots=True)
class _Prepared:
    revision: int
    variables: dict[str, object]
    action: Action

    def fits(self, revision: int, variables: dict[str, object]) -> bool:
        return (self.revision, self.variables) == (revision, variables)


def limits(document: dict[str, Any]) -> Limits:
    """Return the limits of a stored action as the invoker takes them."""
    return Limits(
        timeout=document["timeout"],
        memory=document["memory"],
        logs=document["logs"],
        concurrency=document["concurrency"],
    )
