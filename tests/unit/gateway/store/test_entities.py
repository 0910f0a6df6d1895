from __future__ import annotations

import pytest

from hotwhisk.gateway.store.store import Store


@pytest.mark.parametrize("trigger", ["/guest/daily", '/guest/a "b" \\ é', "/guest/%_"])
def test_entities_are_found_by_a_field(store: Store, trigger: str) -> None:
    store.rules.put("guest", "first", {"annotations": [], "trigger": trigger, "action": "/guest/a"})
    store.rules.put("guest", "longer", {"trigger": trigger + "x"})
    store.rules.put(
        "guest", "inside", {"annotations": [{"trigger": trigger}], "trigger": "/guest/b"}
    )
    store.rules.put("other", "foreign", {"trigger": trigger})
    store.triggers.put("guest", "kind", {"trigger": trigger})
    assert [each.name for each in store.rules.having("guest", "trigger", trigger)] == ["first"]
    assert store.rules.having("guest", "trigger", "/guest/none") == []
