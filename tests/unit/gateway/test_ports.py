"""Which port a gateway opens if others are taken."""

from __future__ import annotations

import socket

import pytest

from hotwhisk.errors import StartError
from hotwhisk.gateway.server import _listen
from hotwhisk.gateway.settings import Settings


def test_the_next_free_port_is_taken_if_that_is_wanted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(StartError):
            _listen(Settings("", port=taken), {})
        with _listen(Settings("", port=taken, ports_tried=50), {}) as listener:
            assert taken < listener.getsockname()[1] < taken + 50
