"""Pass a descriptor on, over a real socket between a thread and this one."""

from __future__ import annotations

import os
import secrets
import socket
import threading

import pytest

from hotwhisk.aws_lambda.log_provider import LogProvider, receive_descriptor


def test_a_process_that_leaves_does_not_end_the_provider() -> None:
    reading, writing = os.pipe()
    provider = LogProvider(writing)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(provider.name)  # it has left before it is answered
    threading.Thread(target=provider.run, daemon=True).start()
    received = receive_descriptor(provider.name)
    os.write(received, b"a line")
    assert os.read(reading, 100) == b"a line"
    os.close(received)
    os.close(reading)


def test_a_wait_for_the_descriptor_has_an_end() -> None:
    name = f"\0hotwhisk-test-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(name)
        listener.listen()  # and nothing accepts
        with pytest.raises(TimeoutError):
            receive_descriptor(name, seconds=0.05)
