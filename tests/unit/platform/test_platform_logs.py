from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from hotwhisk.platform import SENTINEL, LogRule, LogStream, logs
from hotwhisk.platform.logs import Collected, LogLine, collect, stream_and_text, without_spaces

LONGEST = 16 * 1024
END = f"{SENTINEL}\n"
MISSING = "There was an issue while collecting your logs. Data might be missing."
FAILED = "The action did not initialize or run as expected. Log data might be missing."


class Streams:
    def __init__(self) -> None:
        out, self.out = os.pipe()
        err, self.err = os.pipe()
        self.log = LogStream(out, err)

    def close(self) -> None:
        for end in (self.out, self.err):
            with suppress(OSError):
                os.close(end)
        assert self.log.wait_end(5.0)


@pytest.fixture
def streams() -> Iterator[Streams]:
    streams = Streams()
    yield streams
    streams.close()


def write(end: int, text: str) -> None:
    os.write(end, text.encode())


def take(
    streams: Streams, rule: LogRule = LogRule.DOCKER, *, wait: bool = True, failed: bool = False
) -> tuple[list[str], bool]:
    collected = collect(streams.log, rule, 10, wait=wait, failed=failed)
    return texts(collected), collected.complete


def texts(collected: Collected) -> list[str]:
    return [line[31:] for line in collected.shown()]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "IDLE_SECONDS", 0.05)


def test_spaces_are_kept_for_a_reader_and_removed_as_the_platform_does() -> None:
    line = LogLine("stderr", "    return 1 ", 0.0)
    kept = line.shown(keep_spaces=True)
    assert kept.endswith("stderr:     return 1 ")
    assert line.shown().endswith("stderr: return 1")
    assert without_spaces(kept) == line.shown()
    assert without_spaces("61a278764db80fac2e391de73bfa2d40") == "61a278764db80fac2e391de73bfa2d40"


@pytest.mark.parametrize("text", ["", "  x: y", "at 12:00 stderr: no stream"])
def test_a_line_of_a_record_is_taken_apart(text: str) -> None:
    line = LogLine("stdout", text, 1.5).shown(keep_spaces=True)
    assert stream_and_text(line) == ("stdout", text)


def test_a_log_ends_at_the_second_sentinel_and_the_rest_is_the_next_ones(streams: Streams) -> None:
    write(streams.out, f"one\n{END}later\n")
    streams.log.settle()
    write(streams.err, f"bad\n{END}")
    streams.log.settle()
    lines, complete = take(streams)
    assert sorted(lines) == ["stderr: bad", "stdout: later", "stdout: one"]
    assert complete
    write(streams.out, f"next\n{END}")
    write(streams.err, END)
    assert take(streams) == (["stdout: next"], True)


def test_what_is_written_later_is_waited_for(streams: Streams) -> None:
    begun = threading.Event()

    def writer() -> None:
        begun.wait()
        write(streams.out, f"slow\n{END}")
        write(streams.err, END)

    thread = threading.Thread(target=writer)
    thread.start()
    begun.set()
    assert take(streams) == (["stdout: slow"], True)
    thread.join()


def test_an_unterminated_line_is_lost_with_its_sentinel_on_docker(streams: Streams) -> None:
    write(streams.out, f"abc{END}")
    write(streams.err, END)
    assert take(streams) == ([], True)


@pytest.mark.usefixtures("hasty")
def test_an_unterminated_line_hides_the_sentinel_on_kubernetes(streams: Streams) -> None:
    write(streams.out, f"abc{END}")
    write(streams.err, f"why\n{END}")
    lines, complete = take(streams, LogRule.KUBERNETES)
    assert sorted(lines) == [f"stdout: abc{SENTINEL}", "stdout: why"]
    assert complete


@pytest.mark.usefixtures("hasty")
def test_a_missing_sentinel_costs_the_container_on_docker(streams: Streams) -> None:
    write(streams.out, f"one\n{END}")
    assert take(streams) == (["stdout: one", f"stderr: {MISSING}"], False)


@pytest.mark.usefixtures("hasty")
def test_a_missing_sentinel_is_passed_over_on_kubernetes(streams: Streams) -> None:
    write(streams.out, f"one\n{END}")
    assert take(streams, LogRule.KUBERNETES) == (["stdout: one"], True)


def test_no_wait_follows_a_developer_error(streams: Streams) -> None:
    write(streams.err, "Traceback\n")
    assert take(streams, wait=False, failed=True) == (
        ["stderr: Traceback", f"stderr: {FAILED}"],
        True,
    )


def test_a_blackbox_log_is_read_as_far_as_it_is(streams: Streams) -> None:
    write(streams.out, "one\ntwo\nhalf")
    assert take(streams, wait=False) == (["stdout: one", "stdout: two"], True)


def test_a_log_over_the_limit_is_cut(streams: Streams) -> None:
    line = "x" * 1023 + "\n"
    for _ in range(1025):
        write(streams.out, line)
    write(streams.out, END)
    write(streams.err, END)
    collected = collect(streams.log, LogRule.DOCKER, 1, wait=True, failed=False)
    assert not collected.complete
    assert len(collected.lines) == 1025
    assert collected.shown()[-1].endswith(
        "stderr: Logs were truncated because the total bytes size exceeds the limit of"
        " 1048576 bytes."
    )


@pytest.mark.parametrize(("rule", "limit"), [(LogRule.NONE, 10), (LogRule.DOCKER, 0)])
def test_an_unwanted_log_is_dropped(streams: Streams, rule: LogRule, limit: int) -> None:
    write(streams.out, f"one\n{END}")
    assert collect(streams.log, rule, limit, wait=True, failed=False) == Collected(())
    assert streams.log.drain() == []


def test_a_long_line_is_cut_as_an_engine_cuts_it(streams: Streams) -> None:
    write(streams.out, "y" * 40_000 + "\n")
    assert [len(line.text) for line in streams.log.drain()] == [16384, 16384, 7232]


def test_the_end_of_both_streams_gives_the_last_half_line(streams: Streams) -> None:
    write(streams.out, "half")
    streams.close()
    last = streams.log.next_line(5.0)
    assert last is not None
    assert (last.stream, last.text) == ("stdout", "half")
    assert streams.log.next_line(5.0) is None
    assert streams.log.drain() == []


def test_a_line_as_a_record_shows_it() -> None:
    shown = LogLine("stdout", "hello  ", 1_700_000_000.25).shown()
    assert shown == "2023-11-14T22:13:20.250000000Z stdout: hello"
    assert re.fullmatch(r"\S{30} stdout: hello", shown)


def test_what_was_read_is_counted_taken_or_not(streams: Streams) -> None:
    write(streams.out, f"one\ntwo\n{END}not {END}")
    write(streams.err, f"{END}")
    streams.log.drain()
    assert streams.log.lines_read == {"stdout": 4, "stderr": 1}
    assert streams.log.sentinels_read == {"stdout": 1, "stderr": 1}  # a line of its own


@pytest.mark.parametrize("length", [LONGEST - 1, LONGEST, LONGEST + 1, 2 * LONGEST])
def test_a_long_line_is_cut_alike_whenever_its_newline_comes(length: int) -> None:
    cut = []
    for pause in (False, True):
        streams = Streams()
        pieces = ("x" * length, "\n") if pause else ("x" * length + "\n",)
        found = []
        for piece in pieces:
            write(streams.out, piece)
            found += streams.log.drain()
        cut.append([len(line.text) for line in found])
        streams.close()
    assert cut[0] == cut[1]
    assert sum(cut[0]) == length
