"""Activations whose id was answered before they were over."""

from __future__ import annotations

from typing import Any

from hotwhisk.gateway.store.activations import StoredActivation
from hotwhisk.gateway.store.store import Store


def activation(identifier: str, status: int = 3) -> StoredActivation:
    record: dict[str, Any] = {
        "activationId": identifier, "namespace": "guest", "name": "hello", "start": 1, "duration": 0,
        "response": {"statusCode": status, "success": not status}, "logs": [], "annotations": [],
    }  # fmt: skip
    return StoredActivation(record, {"name": "Mike"}, 7, "package")


def test_an_accepted_activation_is_over_after_the_next_start(store: Store) -> None:
    store.activations.accept(activation("a"))
    assert store.activations.get("guest", "a") is None
    assert store.activations.finish_accepted() == 1
    assert store.activations.get("guest", "a") == activation("a")
    assert store.activations.finish_accepted() == 0


def test_one_that_ended_keeps_its_record(store: Store) -> None:
    store.activations.accept(activation("a"))
    store.activations.add(activation("a", 0))
    assert store.activations.finish_accepted() == 0
    assert store.activations.get("guest", "a") == activation("a", 0)


def test_one_that_ended_before_it_was_accepted_keeps_its_record(store: Store) -> None:
    store.activations.add(activation("a", 0))
    store.activations.accept(activation("a"))
    assert store.activations.finish_accepted() == 0
    assert store.activations.get("guest", "a") == activation("a", 0)
