"""Calls of an action of a server that does not answer."""

from __future__ import annotations

import asyncio
import socket

import pytest

from hotwhisk.config.config import Config
from hotwhisk.mcp import remote_action
from hotwhisk.mcp.remote_action import RemoteAction


def test_a_server_that_hangs_is_an_error_of_the_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_action, "MOST_WAIT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        action = RemoteAction(Config(port=silent.getsockname()[1], timeout=0.1), "/nowhere")
        result = asyncio.run(action.call({}, None))
    assert result.error
    assert result.value == "the server gave no answer within 0.2 s; the action may have run"


@pytest.mark.parametrize("timeout", [float("inf"), 1e9])
def test_a_call_without_a_limit_is_possible(timeout: float) -> None:
    with socket.socket() as bound:  # it does not listen, so it refuses
        bound.bind(("127.0.0.1", 0))
        action = RemoteAction(Config(port=bound.getsockname()[1], timeout=timeout), "/nowhere")
        assert "refused" in str(asyncio.run(action.call({}, None)).value)
