"""Post a version to the server of its action before it is stored."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotwhisk.gateway.gateway import open_gateway
from hotwhisk.gateway.invocations.load import Load
from hotwhisk.gateway.invocations.resolve import with_parameters
from hotwhisk.gateway.settings import DEFAULT_NAMESPACE, Settings
from hotwhisk.gateway.store.actions import StoredAction, code_digest

pytestmark = pytest.mark.slow

DOCUMENT = {
    "publish": False,
    "exec": {"kind": "python:3", "binary": False},
    "parameters": [],
    "annotations": [],
    "limits": {"timeout": 60_000, "memory": 256, "logs": 10, "concurrency": 1},
}
STORED = "def main(event): return {'by': 'stored code'}\n"
POSTED = "def main(event): return {'by': 'posted code'}\n"


def test_a_version_is_loaded_before_it_is_stored(tmp_path: Path) -> None:
    gateway = open_gateway(Settings(str(tmp_path / "data")), os.environ)
    try:
        owner = gateway.store.namespaces.ensure(DEFAULT_NAMESPACE)
        key, load = (owner.name, "", "hello"), gateway.invocations.load
        candidate = StoredAction(0, *key, "0.0.1", DOCUMENT)
        call = gateway.invocations.new_call(owner, with_parameters(gateway.store, candidate), {})
        assert load(call, POSTED, Load()) is None
        stored = gateway.store.actions.put(key, DOCUMENT, STORED)
        gateway.invocations.posted[stored.path, code_digest(STORED)] = POSTED
        warm = gateway.invocations.new_call(owner, with_parameters(gateway.store, stored), {})
        activation = gateway.invocations.run(warm)
        assert activation.record["response"]["result"] == {"by": "posted code"}
        assert activation.annotation("initTime") is None  # it was loaded already
        failed = load(call, "def main(event):\n  return 1 +\n", Load())
        assert failed is not None
        assert "line 2" in str(failed["logs"])
        again = gateway.invocations.new_call(owner, with_parameters(gateway.store, stored), {})
        assert gateway.invocations.run(again).record["response"]["success"]
    finally:
        gateway.close()
