from __future__ import annotations

from typing import Any

import pytest

from hotwhisk.gateway.invocations.resolve import (
    AccessDenied,
    full_key,
    relative_key,
    resolve,
    resolve_for,
)
from hotwhisk.gateway.store.store import Store

LIMITS = {"timeout": 60_000, "memory": 256, "logs": 10, "concurrency": 1}


def entry(key: str, value: object, **more: object) -> dict[str, Any]:
    return {"key": key, "value": value, **more}


def add_action(store: Store, key: tuple[str, str, str], **fields: Any) -> None:
    document = {
        "exec": {"kind": "python:3"}, "parameters": [], "annotations": [], "limits": LIMITS,
        "publish": False,
    }  # fmt: skip
    store.actions.put(key, {**document, **fields}, "code")


def add_package(store: Store, namespace: str, name: str, **fields: Any) -> None:
    document = {"parameters": [], "annotations": [], "binding": {}, "publish": False}
    store.packages.put(namespace, name, {**document, **fields})


def test_an_action_is_over_its_package(store: Store) -> None:
    add_package(store, "guest", "p", parameters=[entry("a", 1), entry("b", 2)])
    parameters = [entry("b", 3), entry("c", 4, init=True)]
    add_action(store, ("guest", "p", "x"), parameters=parameters)
    found = resolve(store, ("guest", "p", "x"))
    assert found is not None
    assert found.parameters == {"a": 1, "b": 3}
    assert found.variables == {"c": 4}
    assert found.binding == ""


def test_a_binding_is_between_its_package_and_the_action(store: Store) -> None:
    add_package(store, "guest", "p", parameters=[entry("a", 1), entry("b", 1), entry("c", 1)])
    target = {"namespace": "guest", "name": "p"}
    add_package(store, "guest", "q", parameters=[entry("b", 2), entry("c", 2)], binding=target)
    add_action(store, ("guest", "p", "x"), parameters=[entry("c", 3)])
    found = resolve(store, ("guest", "q", "x"))
    assert found is not None
    assert found.parameters == {"a": 1, "b": 2, "c": 3}
    assert (found.action.package, found.binding) == ("p", "guest/q")


def test_only_parameters_with_a_value_are_final(store: Store) -> None:
    parameters = [entry("a", 1), entry("b", None)]
    annotations = [entry("final", True)]
    add_action(store, ("guest", "", "x"), parameters=parameters, annotations=annotations)
    found = resolve(store, ("guest", "", "x"))
    assert found is not None
    assert found.final == {"a"}


@pytest.mark.parametrize(
    "key",
    [
        ("guest", "", "x"),
        ("guest", "closed", "x"),
        ("guest", "none", "x"),
        ("other", "bound", "x"),
    ],
)
def test_what_another_namespace_may_not_reach(store: Store, key: tuple[str, str, str]) -> None:
    add_action(store, ("guest", "", "x"))
    add_package(store, "guest", "closed")
    add_action(store, ("guest", "closed", "x"))
    add_package(store, "other", "bound", binding={"namespace": "guest", "name": "closed"})
    with pytest.raises(AccessDenied):
        resolve_for(store, "other", key)


def test_a_public_package_is_for_all(store: Store) -> None:
    add_package(store, "guest", "p", publish=True)
    add_action(store, ("guest", "p", "x"))
    assert resolve_for(store, "other", ("guest", "p", "x")) is not None
    assert resolve_for(store, "other", ("guest", "p", "y")) is None


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("/_/a", ("guest", "", "a")),
        ("/other/a", ("other", "", "a")),
        ("other/a", ("other", "", "a")),
        ("/_/p/a", ("guest", "p", "a")),
    ],
)
def test_full_names(text: str, key: tuple[str, str, str]) -> None:
    assert full_key(text, "guest") == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("a", ("guest", "", "a")),
        ("p/a", ("guest", "p", "a")),
        ("/other/a", ("other", "", "a")),
        ("/other/p/a", ("other", "p", "a")),
        ("other/p/a", ("other", "p", "a")),
    ],
)
def test_relative_names(text: str, key: tuple[str, str, str]) -> None:
    assert relative_key(text, "guest") == key


@pytest.mark.parametrize("text", ["", "/", "a", "/a", "//a", "/a/b/c/d", "/a//b"])
def test_what_is_no_full_name(text: str) -> None:
    with pytest.raises(ValueError, match="fully qualified name"):
        full_key(text, "guest")
