"""What the status and the metrics show of output that was dropped."""

from __future__ import annotations

from collections.abc import Callable

from hotwhisk.server import server_metrics
from hotwhisk.server.status import dropped, status
from hotwhisk.supervisor.action_output import ActionOutput
from hotwhisk.supervisor.json_lines import WritingProcess
from hotwhisk.supervisor.parts import Parts
from hotwhisk.system.line_writer import LineWriter
from hotwhisk.system.output import STATE_SIZE, StreamState
from tests.unit.supervisor.scripted import Scripted

ORIGIN = WritingProcess(0, "", 1)


def test_status_and_metrics_count_the_lost_lines_of_a_log_of_json(
    script: Callable[..., Scripted],
) -> None:
    of_text = script().supervisor.parts
    of_text.scoreboard.streams[1].drop(100, sentinels=2)
    of_text.scoreboard.streams[2].drop(10)
    assert dropped(of_text) == {"stdout": (2, 100), "stderr": (0, 10)}
    state = StreamState(memoryview(bytearray(STATE_SIZE)))
    state.drop(5)
    writer = LineWriter(1, state, 3)
    output = ActionOutput(writer, of_text.loop, 8, lambda _: ORIGIN, lambda: ORIGIN)
    parts = Parts.of({**vars(of_text), "output": output})
    assert dropped(parts) == {"stdout": (2, 105), "stderr": (0, 10)}
    assert status(parts)["dropped"] == {"sentinels": 2, "bytes": 115}
    shown = {family.name: family.samples for family in server_metrics.collect(parts)}
    assert [value for *_, value in shown["hotwhisk_dropped_output_bytes"]] == [105, 10]
