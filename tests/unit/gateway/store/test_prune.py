from __future__ import annotations

import time

from hotwhisk.gateway.store.activations import ActivationQuery, StoredActivation
from hotwhisk.gateway.store.store import Store

DAY = 86_400.0


def add(store: Store, number: int, age: float) -> None:
    """Store an activation that began so many seconds ago."""
    record = {
        "activationId": f"{number:032x}",
        "namespace": "guest",
        "name": "hello",
        "start": int((time.time() - age) * 1000),
        "duration": 1,
        "response": {"statusCode": 0, "success": True, "result": {}},
        "annotations": [],
        "logs": [],
    }
    store.activations.add(StoredActivation(record))


def left(store: Store) -> list[int]:
    """Return the numbers of the activations that are there, the newest first."""
    return [
        int(each.id, 16) for each in store.activations.list(ActivationQuery("guest", limit=100))
    ]


def test_the_oldest_activations_are_removed_first(store: Store) -> None:
    for number, age in enumerate((5.0, 4.0, 3.0, 2.0, 1.0)):
        add(store, number, age)
    assert store.activations.prune(3, DAY) == 2
    assert left(store) == [4, 3, 2]
    assert store.activations.prune(3, DAY) == 0


def test_activations_that_are_too_old_are_removed(store: Store) -> None:
    for number, age in enumerate((3 * DAY, 2 * DAY, 60.0)):
        add(store, number, age)
    assert store.activations.prune(100, 1.5 * DAY) == 2
    assert left(store) == [2]


def test_those_that_watch_are_told_of_each_activation(store: Store) -> None:
    seen: list[str] = []
    store.activations.watch(lambda activation: seen.append(activation.id))
    add(store, 7, 1.0)
    assert seen == [f"{7:032x}"]
