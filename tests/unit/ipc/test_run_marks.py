"""Lines and marks in one stream, cut anywhere."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from hotwhisk.ipc.counters import AnswerKind
from hotwhisk.ipc.run_marks import (
    LONGEST_LINE,
    LONGEST_MARK,
    EndedRun,
    Found,
    MarkedStream,
    OutputLine,
    RunBegin,
    RunEnd,
    RunSent,
)

CAPACITY = 8
TOKEN = b"\0" + b"ab" * 8
FIRST = RunBegin(3, "a" * 32, "", 1.5)
SECOND = RunBegin(4, "b", "c" * 32, 2.5)


def end(number: int) -> RunEnd:
    return RunEnd(number, 200, AnswerKind.OK, 12, 0.25, 3.5)


def read(*pieces: bytes, has_sent: bool = True) -> list[Found]:
    stream = MarkedStream(TOKEN, CAPACITY, has_sent=has_sent)
    return [each for piece in pieces for each in stream.feed(piece)] + stream.end()


def whole(run: RunBegin, text: bytes) -> bytes:
    marks = (end(run.number).mark(TOKEN), RunSent(run.number).mark(TOKEN))
    return b"".join((run.mark(TOKEN), text, *marks))


def test_a_line_belongs_to_the_run_between_whose_marks_it_lies() -> None:
    data = b"before\n" + whole(FIRST, b"one\ntwo") + b"between\n" + whole(SECOND, b"") + b"after"
    assert read(data) == [
        OutputLine(b"before", None),
        OutputLine(b"one", FIRST),
        OutputLine(b"two", FIRST),
        EndedRun(FIRST, end(3)),
        OutputLine(b"between", None),
        EndedRun(SECOND, end(4)),
        OutputLine(b"after", None),
    ]


def test_the_other_stream_says_nothing_of_activations() -> None:
    data = FIRST.mark(TOKEN) + b"one\n" + end(3).mark(TOKEN)
    stream = MarkedStream(TOKEN, CAPACITY, has_sent=False)
    assert stream.feed(data) == [OutputLine(b"one", FIRST)]
    assert not stream.unsent


def test_a_line_in_two_runs_at_a_time_belongs_to_none_of_them() -> None:
    data = FIRST.mark(TOKEN) + b"1\n" + SECOND.mark(TOKEN) + b"half" + end(3).mark(TOKEN) + b"2\n"
    assert read(data) == [
        OutputLine(b"1", FIRST),
        OutputLine(b"half", None),
        OutputLine(b"2", SECOND),
    ]


def test_runs_that_have_no_end_and_answers_that_are_not_sent_are_known() -> None:
    stream = MarkedStream(TOKEN, CAPACITY, has_sent=True)
    assert not stream.feed(FIRST.mark(TOKEN) + end(3).mark(TOKEN) + SECOND.mark(TOKEN))
    assert stream.runs == {4: SECOND}
    assert stream.unsent == {3: EndedRun(FIRST, end(3))}


def test_the_next_run_on_a_connection_shows_that_the_answer_before_it_is_sent() -> None:
    again = RunBegin(3, "again", "", 9.0)
    data = FIRST.mark(TOKEN) + end(3).mark(TOKEN) + again.mark(TOKEN) + FIRST.mark(TOKEN)
    assert read(data) == [EndedRun(FIRST, end(3)), EndedRun(again)]


def test_a_second_end_of_a_run_takes_the_place_of_the_first() -> None:
    failed = RunEnd(3, 502, AnswerKind.ERROR, 40, 0.5, 3.75)
    marks = (FIRST, end(3), failed, RunSent(3))
    assert read(*(mark.mark(TOKEN) for mark in marks)) == [EndedRun(FIRST, failed)]


def test_false_marks_keep_no_more_runs_than_there_can_be_connections() -> None:
    stream = MarkedStream(TOKEN, CAPACITY, has_sent=True)
    for number in range(4 * CAPACITY):
        stream.feed(RunBegin(number, "x" * 999, "t" * 999, 1.0).mark(TOKEN))
    assert list(stream.runs) == list(range(CAPACITY))
    assert {(len(run.activation_id), len(run.trace_id)) for run in stream.runs.values()} == {
        (128, 32)
    }


def test_a_mark_may_have_any_text_in_it() -> None:
    run = RunBegin(1, 'new\nline "\0 é \ud800', "", 0.0)
    found = read(run.mark(TOKEN) + b"x\n")
    assert found == [OutputLine(b"x", run)]


def test_what_only_looks_like_a_mark_is_text() -> None:
    times = (b"-1e300,1e300", b"1e300,-1e300", b"1.0,NaN", b"Infinity,1.0", b"-1.0,1.0")
    ends = [b'[1,200,"ok",1,%s]' % each for each in times]
    ends += [b"[1,%s,1.0,1.0]" % each for each in (
        b'99,"ok",1', b'600,"ok",1', b'200,"died",1', b'200,"",1', b'200,"ok",-1',
        b'200,"ok",9007199254740993',
    )]  # fmt: skip
    numbers = (b"[8]", b"[99999]", b"[-1]", b"[true]", b'["1"]', b'[99999,"a","b",1.0]')
    others = (
        b"",
        b"{}",
        b"[]",
        b"[1,2]",
        b'[1,"a","b",1e99]',
        b"[" * 9999,
        b" " * LONGEST_MARK + b"[1]",
    )
    for wrong in (*ends, *numbers, *others):
        assert read(TOKEN + wrong + b"\nx\n") == [
            OutputLine(TOKEN + wrong, None),
            OutputLine(b"x", None),
        ]


def test_a_long_line_is_cut_between_characters() -> None:
    text = "ä" * LONGEST_LINE
    found = read(*(text.encode()[at : at + 999] for at in range(0, 2 * LONGEST_LINE, 999)))
    lines = [each for each in found if isinstance(each, OutputLine)]
    assert "".join(each.data.decode() for each in lines) == text
    assert [each.whole for each in lines] == [False] * (len(lines) - 1) + [True]
    assert max(len(each.data) for each in lines) <= LONGEST_LINE


@given(
    st.lists(st.sampled_from([b"a", b"\n", b"\0", TOKEN, TOKEN[:5], b"long " * 99, b"\xff"])),
    st.lists(st.integers(0, 2000)),
)
def test_it_does_not_matter_where_the_stream_is_cut(texts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(each + whole(FIRST, each) for each in texts)
    places = [0, *sorted(cuts), len(data)]
    pieces = [data[at:to] for at, to in pairwise(places)]
    assert read(*pieces) == read(data)


def test_a_mark_is_written_as_a_whole() -> None:
    assert len(RunBegin(1 << 20, "\0" * 999, "t" * 32, 1e10 / 3).mark(TOKEN)) < 2048
