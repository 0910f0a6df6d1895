from __future__ import annotations

from hotwhisk.gateway.store.namespaces import Namespace


def test_the_text_of_a_namespace_does_not_show_its_key() -> None:
    assert "secret" not in repr(Namespace("guest", "1234", "secret"))
