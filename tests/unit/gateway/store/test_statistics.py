from __future__ import annotations

import json

import pytest

from hotwhisk.gateway.store.statistics import MOST_CALLS, Summary
from hotwhisk.gateway.store.store import Store


def add(store: Store, **fields: object) -> None:
    """Write an activation; fields that are not given are of a call of ``hello``."""
    with store.database.writing() as connection:
        number = connection.execute("SELECT count(*) FROM activations").fetchone()[0]
        row = {
            "id": f"{number:032x}", "namespace": "guest", "package": "", "name": "hello",
            "start": number, "duration": 1, "status": 0, "wait": 0, "init": None, "revision": 1,
            "cause": None, "document": "{}", "logs": "[]", "event": "{}", **fields,
        }  # fmt: skip
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        connection.execute(f"INSERT INTO activations ({names}) VALUES ({marks})", row)


KEY = ("guest", "", "hello")


def test_calls_errors_and_percentiles(store: Store) -> None:
    for duration in range(1, 101):
        add(store, duration=duration, status=int(duration % 10 == 0))
    assert store.statistics.summaries("guest", 0) == {("", "hello"): Summary(100, 10, 50, 95)}


@pytest.mark.parametrize(("durations", "p50", "p95"), [([7], 7, 7), ([1, 9], 1, 1), ([], None, 0)])
def test_percentiles_of_few_calls(
    store: Store, durations: list[int], p50: int | None, p95: int
) -> None:
    for duration in durations:
        add(store, duration=duration)
    found = store.statistics.summaries("guest", 0).get(("", "hello"), Summary())
    assert found.p50 == p50
    assert found.calls == len(durations)


def test_each_action_has_its_own_and_other_namespaces_none(store: Store) -> None:
    add(store, package="a")
    add(store, package="b", duration=5)
    add(store, namespace="other", duration=500)
    found = store.statistics.summaries("guest", 0)
    assert found == {("a", "hello"): Summary(1, 0, 1, 1), ("b", "hello"): Summary(1, 0, 5, 5)}


def test_what_was_before_the_window_does_not_count(store: Store) -> None:
    add(store, start=10, duration=900)
    add(store, start=20, duration=5)
    assert store.statistics.summaries("guest", 20) == {("", "hello"): Summary(1, 0, 5, 5)}


def test_percentiles_are_of_the_last_calls(store: Store) -> None:
    with store.database.writing() as connection:
        connection.executemany(
            "INSERT INTO activations VALUES "
            "(?, 'guest', '', 'hello', ?, ?, 0, 0, NULL, 1, NULL, '{}', '[]', '{}')",
            [(f"{n:032x}", n, 9 if n < 500 else 1) for n in range(MOST_CALLS + 500)],
        )
    found = store.statistics.summaries("guest", 0)["", "hello"]
    assert found == Summary(MOST_CALLS + 500, 0, 1, 1)


def test_points_are_the_last_ones_in_their_order(store: Store) -> None:
    for duration in (5, 6, 7):
        add(store, duration=duration)
    add(store, name="other")
    assert [point.duration for point in store.statistics.points(KEY, 2)] == [6, 7]


def test_events_are_the_last_different_ones(store: Store) -> None:
    for name in ("Mike", "Anna", "Mike", "Jo", "Jo"):
        add(store, event=json.dumps({"name": name}))
    events = [event for _, event in store.statistics.events(KEY, 2)]
    assert events == [{"name": "Jo"}, {"name": "Mike"}]


def test_a_profile_goes_with_its_code(store: Store) -> None:
    document = {"exec": {"kind": "python:3"}}
    digest = store.actions.put(KEY, document, "def main(args): ...\n").digest
    assert digest is not None
    assert store.import_profiles.get(digest, "main") is None
    store.import_profiles.put(digest, "main", [1])
    store.import_profiles.put(digest, "main", [2])
    assert store.import_profiles.get(digest, "main") == [2]
    assert store.import_profiles.get(digest, "other") is None
    store.actions.delete(KEY)
    assert store.import_profiles.get(digest, "main") is None
    store.import_profiles.put(digest, "main", [3])
    assert store.import_profiles.get(digest, "main") is None
