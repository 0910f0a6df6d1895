"""A line for the operator goes to stderr, except where stderr is the action's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hotwhisk.config.platform import Profile
from hotwhisk.server.server_log import ServerLog
from hotwhisk.supervisor.log_events import LogEvent
from tests.unit.supervisor.scripted import Scripted


@pytest.mark.parametrize(
    ("profile", "expected"), [(Profile.PLAIN, "hotwhisk: café\n"), (Profile.OPENWHISK, "")]
)
def test_a_line_goes_to_stderr_unless_that_is_the_action_s(
    script: Callable[..., Scripted],
    capfd: pytest.CaptureFixture[str],
    profile: Profile,
    expected: str,
) -> None:
    parts = script(profile=profile).supervisor.parts
    log = ServerLog(parts.config)
    log("before the parts of the server exist", LogEvent.READY)
    log.begin(parts)
    log("café", LogEvent.READY)
    assert log.writer is None
    assert capfd.readouterr() == ("", expected)
