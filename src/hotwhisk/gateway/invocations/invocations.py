"""
Run activations in threads, and keep their records.

The rules are those of the platform's invoker, which `hotwhisk.platform` models: this module only
chooses the server and stores what came of it.

A call whose activation id is answered before it is over is *accepted* first: what becomes of it if
the gateway ends is in the database. So a kill loses no call that was acknowledged. It is not run
again, because it may have run.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from hotwhisk.errors import HotwhiskError
from hotwhisk.gateway.invocations import compositions, sequences
from hotwhisk.gateway.invocations.call import Call, Counted, annotate
from hotwhisk.gateway.invocations.load import Load
from hotwhisk.gateway.invocations.resolve import Resolved, annotation
from hotwhisk.gateway.log import log_event
from hotwhisk.gateway.runtimes.forked_server import ForkedServer
from hotwhisk.gateway.runtimes.pool import Need, NoServer, Pool, Slot
from hotwhisk.gateway.store.actions import StoredAction
from hotwhisk.gateway.store.activations import NotStored, StoredActivation
from hotwhisk.gateway.store.namespaces import Namespace
from hotwhisk.gateway.store.store import Store
from hotwhisk.platform import Action, Invoker, Names, texts
from hotwhisk.platform.activation import Activated, Timing, activation_record
from hotwhisk.platform.logs import stream_and_text
from hotwhisk.platform.verdict import Status, error

MOST_CALLS: Final = 256
"""Calls that run or wait. One more is refused."""

END_SECONDS: Final = 5.0
"""How long the records of calls may take that end with the gateway."""

GATEWAY_ENDED: Final = (
    "The server ended before this activation did. It may have run in part, and is not run again."
)
DELETED: Final = "The action was deleted before this activation could run."
INTERNAL: Final = "The server failed to run the action; its own log says why."


class TooManyCalls(Exception):
    """As many calls run or wait as may; the text is the platform's."""

    def __init__(self, count: int, allowed: int) -> None:
        super().__init__(
            f"Too many concurrent requests in flight (count: {count}, allowed: {allowed})."
        )


class Invocations:
    """Runs calls. Any thread may use it."""

    def __init__(self, store: Store, pool: Pool[ForkedServer]) -> None:
        self.store = store
        self._pool = pool
        self._invoker = Invoker(keep_spaces=True)
        self._threads = ThreadPoolExecutor(MOST_CALLS, "activation")
        self._changed = threading.Condition()
        self._count = 0
        self._closed = False
        self.posted: dict[tuple[str, str], str] = {}
        """
        By the path of an action and the digest of its code, what is posted in place of the code.

        `hotwhisk.gateway.dev` serves sources of this machine under their own paths.
        """
        self.adjust: Callable[[dict[str, Any]], None] = _leave
        """Called with each record of a server before it is stored and answered; may change it."""

    @property
    def count(self) -> int:
        """How many calls run or wait."""
        return self._count

    def new_call(
        self,
        caller: Namespace,
        resolved: Resolved,
        argument: object,
        *,
        cause: str | None = None,
        counted: Counted | None = None,
        transaction: str | None = None,
    ) -> Call:
        """
        Return a call with a fresh activation id. Nothing runs yet.

        ``transaction`` is the identifier of the request, which the action finds too.
        """
        names = self._invoker.new_names()
        names = Names(names.activation, transaction or names.transaction, caller.name)
        return Call(caller, resolved, argument, names, cause, counted or Counted())

    def start(self, call: Call) -> Future[StoredActivation]:
        """
        Begin a call in a thread of its own; the future ends when its record is stored.

        Raises:
            TooManyCalls: `MOST_CALLS` run or wait.
        """
        with self._changed:
            if self._count >= MOST_CALLS or self._closed:
                raise TooManyCalls(self._count + 1, MOST_CALLS)
            self._count += 1
        return self._threads.submit(self._run_counted, call)

    def load(self, call: Call, code: str, load: Load) -> dict[str, Any] | None:
        """
        Post a version that need not be stored to a server of its action.

        If the server refuses it, return the record of an activation that failed in this way. The
        server goes on with what it had.

        Raises:
            NoServer: none became free.
            Cancelled: ``load`` was given up.
        """
        action = call.action(code)
        path = call.resolved.action.path
        need = Need((call.caller.name, path), call.version, action.limits.concurrency)
        load.begin("its servers are busy", waits=True)
        with self._pool.lease(need, load) as slot:
            slot.runtime.prepare(action.limits, path)
            slot.prepared = None
            with load.on(slot.runtime):
                return self._invoker.replace(slot.runtime, action)

    def wait_idle(self) -> None:
        """Wait until no call runs or waits."""
        with self._changed:
            self._changed.wait_for(lambda: not self._count)

    def accept(self, call: Call) -> None:
        """
        Keep a call that has begun over a kill of the gateway, before its id is answered.

        Raises:
            NotStored: the disk is full, or the like.
        """
        try:
            self.store.activations.accept(self._failed(call, GATEWAY_ENDED))
        except sqlite3.Error as error:
            raise NotStored("The action has begun", call.id, error) from error

    def finish_accepted(self) -> None:
        """Store records for the calls that ended with the last gateway."""
        self.store.activations.finish_accepted()

    def run(self, call: Call) -> StoredActivation:
        """Run a call of any action in this thread, and store its record."""
        if call.resolved.action.components is not None:
            return self._stored(call, partial(sequences.run, self))
        if compositions.is_conductor(call.resolved):
            return self._stored(call, partial(compositions.run, self))
        return self.run_code(call)

    def run_code(self, call: Call) -> StoredActivation:
        """Run a call of an action with code in this thread, and store its record."""
        return self._stored(call, self._run_code)

    def _stored(self, call: Call, run: Callable[[Call], StoredActivation]) -> StoredActivation:
        happened = "The action has not run to its end"
        try:
            activation = run(call)
            happened = "The action has run"
        except (NoServer, NotStored, HotwhiskError) as problem:
            activation = self._failed(call, str(problem))
        except Exception as failure:  # noqa: BLE001 - boundary: the caller gets a record anyway
            text = f"activation {call.id} of {call.resolved.action.local_path} failed"
            log_event(text, level=logging.ERROR, exc_info=failure, activation_id=call.id)
            activation = self._failed(call, INTERNAL)
        try:
            self.store.activations.add(activation)
        except sqlite3.Error as error:
            lost = NotStored(happened, call.id, error)
            log_event(str(lost), level=logging.ERROR, activation_id=call.id)
            raise lost from error
        return activation

    def close(self) -> None:
        """Take no further call, and wait a little for the records of those that end now."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not self._count, END_SECONDS)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def refuse(self) -> None:
        """Take no further call."""
        with self._changed:
            self._closed = True

    def _run_counted(self, call: Call) -> StoredActivation:
        try:
            return self.run(call)
        finally:
            with self._changed:
                self._count -= 1
                self._changed.notify_all()

    def _run_code(self, call: Call) -> StoredActivation:
        stored, concurrency = call.resolved.action, call.limits.concurrency
        need = Need((call.caller.name, stored.path), call.version, concurrency)
        with self._pool.lease(need) as slot:
            action = self._prepare(slot, call)
            activated = self._activate(slot.runtime, action, call)
        self._note_load(call, activated)
        self.adjust(activated.record)
        return call.completed(activated.record)

    def _activate(self, server: ForkedServer, action: Action, call: Call) -> Activated:
        if action.limits.concurrency == 1:
            return self._invoker.activate(server, action, call.event, names=call.names)
        with server.shared_log.reading(action.limits.logs) as log:
            activated = self._invoker.activate(server, action, call.event, names=call.names)
        activated.record["logs"] = log.shown()
        if log.overlapped:
            annotate(activated.record, "sharedLogs", True)
        return activated

    def _note_load(self, call: Call, activated: Activated) -> None:
        """Keep how long the ``/init`` took, and why it failed."""
        record: dict[str, Any] = activated.record
        if activated.loaded is not None:
            init = annotation(record["annotations"], "initTime")
            failure = None if activated.loaded else _failure(record)
            with suppress(sqlite3.Error):  # the record, which is stored next, is worth more
                self.store.actions.loaded(call.resolved.action, init, failure)

    def _failed(self, call: Call, text: str) -> StoredActivation:
        """Return the record of a call that the platform itself could not run to its end."""
        now = time.time()
        record = activation_record(
            call.action(None),
            call.names,
            error(Status.WHISK_ERROR, text),
            Timing(now, now, now),
            [],
        )
        return call.completed(record)

    def _code(self, action: StoredAction) -> str | None:
        """Return what is posted for an action; None if it has no code, or was deleted."""
        if action.digest is None:
            return None
        posted = self.posted.get((action.path, action.digest))
        return posted or self.store.actions.code(action.digest)

    def _prepare(self, slot: Slot[ForkedServer], call: Call) -> Action:
        """Return the action as the invoker takes it; its code is read once for each server."""
        version = call.version
        if isinstance(slot.prepared, _Prepared) and slot.prepared.version == version:
            return slot.prepared.action
        stored = call.resolved.action
        code = self._code(stored)
        if stored.digest and code is None:
            raise NoServer(DELETED)
        action = call.action(code)
        slot.runtime.prepare(action.limits, call.resolved.action.path)
        slot.prepared = _Prepared(version, action)
        return action


@dataclass(frozen=True, slots=True)
class _Prepared:
    version: tuple[int, str]
    action: Action


def _leave(record: dict[str, Any]) -> None:
    """Change nothing in a record."""


def _failure(record: dict[str, Any]) -> str:
    """Return why an action was not loaded: what it printed, or else the platform's text."""
    lines = map(stream_and_text, record["logs"])
    printed = [text for stream, text in lines if stream == "stderr"]
    reason = "\n".join(text for text in printed if text and text != texts.LOGS_AFTER_ERROR)
    return reason or str(record["response"]["result"]["error"])
