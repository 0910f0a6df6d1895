"""The output of a program is copied, whenever the event loop finds some."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator

import pytest

from hotwhisk.actionloop.relay import Relay


@pytest.fixture
def relay() -> Iterator[Relay]:
    made = Relay(select.poll())
    yield made
    for each in made.writing.values():
        os.close(each)
    made.close()


def test_output_that_was_copied_already_is_no_error(
    relay: Relay, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    descriptor = next(each for each, stream in relay.reading.items() if stream == 1)
    os.write(relay.writing[1], b"line\n")
    relay.copy(descriptor)
    relay.copy(descriptor)  # the event loop had found it readable before
    assert capfdbinary.readouterr().out == b"line\n"
    assert descriptor in relay.reading
