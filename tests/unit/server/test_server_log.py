"""A line for the operator goes to stderr, except where stderr is the action's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotwhisk.server.server_log import ServerLog
from hotwhisk.supervisor.log_events import LogEvent
from tests.unit.supervisor.scripted import Scripted


@pytest.mark.parametrize(("openwhisk", "expected"), [(False, "hotwhisk: café\n"), (True, "")])
def test_a_line_goes_to_stderr_unless_that_is_the_action_s(
    script: Callable[..., Scripted],
    capfd: pytest.CaptureFixture[str],
    openwhisk: bool,
    expected: str,
) -> None:
    parts = script(openwhisk=openwhisk).supervisor.parts
    log = ServerLog(parts.config)
    log("before the parts of the server exist", LogEvent.READY)
    log.begin(parts)
    log("café", LogEvent.READY)
    assert log.writer is None
    assert capfd.readouterr() == ("", expected)
