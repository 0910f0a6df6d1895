"""Call a new version with the last events of its action, and say what is answered otherwise."""

from __future__ import annotations

import json
import threading
from typing import Final

from hotwhisk.gateway.dev.deployment import Deployed
from hotwhisk.gateway.dev.terminal import Terminal
from hotwhisk.gateway.gateway import Gateway
from hotwhisk.gateway.invocations.resolve import with_parameters
from hotwhisk.gateway.settings import DEFAULT_NAMESPACE
from hotwhisk.gateway.store.activations import ActivationQuery, StoredActivation
from hotwhisk.platform.differences import differences

MOST_EVENTS: Final = 5
_LOOKED_AT: Final = 200
"""Activations among which events that differ are looked for."""
_LONGEST: Final = 100
"""Most characters of an event that are shown."""


class EventReplay:
    """Sends the last events again after each replacement."""

    def __init__(self, gateway: Gateway, terminal: Terminal) -> None:
        self._gateway = gateway
        self._terminal = terminal
        self._owner = gateway.store.namespaces.ensure(DEFAULT_NAMESPACE)

    def start(self, deployed: Deployed) -> None:
        """Replay the events of an action that was replaced; the next save does not wait for it."""
        threading.Thread(target=self._run, args=(deployed,), name="replay", daemon=True).start()

    def _run(self, deployed: Deployed) -> None:
        former = self._last(deployed)
        shown: list[str] = []
        resolved = with_parameters(self._gateway.store, deployed.now)
        for activation in former:
            call = self._gateway.invocations.new_call(self._owner, resolved, activation.event)
            now = self._gateway.invocations.run(call)
            found = differences(activation.record, now.record)
            if found:
                event = json.dumps(activation.event, ensure_ascii=False)
                cut = f"{event[:_LONGEST]}…" if len(event) > _LONGEST else event
                shown += [f"  for the event {cut}"]
                shown += [f"  {line}" for each in found for line in each.shown().splitlines()]
        if former:
            self._terminal.replayed(deployed.source, len(former), shown)

    def _last(self, deployed: Deployed) -> list[StoredActivation]:
        """Return the last activation of each of the last different events."""
        now = deployed.now
        query = ActivationQuery(now.namespace, name=now.name, package=now.package, limit=_LOOKED_AT)
        found: dict[str, StoredActivation] = {}
        for activation in self._gateway.store.activations.list(query):
            found.setdefault(json.dumps(activation.event, sort_keys=True), activation)
            if len(found) == MOST_EVENTS:
                break
        return list(reversed(found.values()))
