from __future__ import annotations

from hotwhisk.gateway.page.log_tracebacks import find_tracebacks

SOURCE = "def helper(x):\n    return x['name']\n\n\ndef main(args):\n    return helper(args)\n"
CODE = "/home/me/.local/share/hotwhisk/run/tmp1x2y/123/2/code"
STAMP = "2026-11-27T15:29:03.149037000Z"


def log(*lines: str, stream: str = "stderr") -> list[str]:
    return [f"{STAMP} {stream}: {line}" for line in lines]


def read_file(name: str) -> str | None:
    return SOURCE if name == "main__.py" else None


CAUSE = log(
    "Traceback (most recent call last):",
    f'File "{CODE}/main__.py", line 6, in main',
    "return helper(args)",
    f'File "{CODE}/main__.py", line 2, in helper',
    "return x['name']",
    "~^^^^^^^^",
    "KeyError: 'name'",
)


def test_the_frames_of_the_action_have_their_source() -> None:
    (found,) = find_tracebacks(CAUSE, read_file)
    assert found.error == "KeyError: 'name'"
    assert [(frame.file, frame.line, frame.function) for frame in found.frames] == [
        ("main__.py", 6, "main"),
        ("main__.py", 2, "helper"),
    ]
    numbers = [number for number, _ in found.frames[1].lines]
    assert numbers == [1, 2, 3, 4, 5]
    assert "".join(text for _, text in found.frames[1].lines[1][1]) == "    return x['name']"


def test_an_error_with_a_cause_is_two_tracebacks() -> None:
    text = "The above exception was the direct cause of the following exception:"
    logs = [*CAUSE, *log("", text, ""), *CAUSE[:3], *log("ValueError: no")]
    assert [each.error for each in find_tracebacks(logs, read_file)] == [
        "KeyError: 'name'",
        "ValueError: no",
    ]


def test_a_syntax_error_has_no_header() -> None:
    logs = log(
        "main__.py does not compile:",
        f'File "{CODE}/main__.py", line 1',
        "def main(args:",
        "^",
        "SyntaxError: '(' was never closed",
    )
    (found,) = find_tracebacks(logs, read_file)
    assert found.error == "SyntaxError: '(' was never closed"
    assert [frame.line for frame in found.frames] == [1]


def test_an_action_that_runs_under_its_own_path_has_its_source() -> None:
    logs = log('File "/home/me/hello.py", line 2, in helper', "return x['name']", "KeyError: 1")
    (found,) = find_tracebacks(logs, lambda _: SOURCE)
    assert found.frames[0].file == "/home/me/hello.py"
    assert len(found.frames[0].lines) == 5


def test_a_file_of_others_is_named_whole_and_has_no_source() -> None:
    logs = log('File "/usr/lib/python3.11/json/decoder.py", line 2, in decode', "obj, end = x")
    (found,) = find_tracebacks([*logs, *log("ValueError: no")], lambda _: SOURCE)
    assert found.frames[0].file == "/usr/lib/python3.11/json/decoder.py"
    assert found.frames[0].lines == []


def test_a_file_that_is_gone_and_a_line_that_is_not_there() -> None:
    logs = log(f'File "{CODE}/lib/gone.py", line 3, in f', f'File "{CODE}/main__.py", line 99')
    frames = find_tracebacks(logs, read_file)[0].frames
    assert [frame.lines for frame in frames] == [[], []]


def test_code_over_several_lines_is_no_end() -> None:
    logs = [*CAUSE[:3], *log("args,", ")", "^^^^", *[line[39:] for line in CAUSE[3:]])]
    (found,) = find_tracebacks(logs, read_file)
    assert len(found.frames) == 2
    assert found.error == "KeyError: 'name'"


def test_a_traceback_without_an_end_is_one() -> None:
    logs = [*CAUSE[:3], *CAUSE]
    assert [each.error for each in find_tracebacks(logs, read_file)] == ["", "KeyError: 'name'"]


def test_repeated_frames_belong_to_one_traceback() -> None:
    logs = [*CAUSE[:3], *log("[Previous line repeated 995 more times]", "RecursionError: too deep")]
    assert [each.error for each in find_tracebacks(logs, read_file)] == ["RecursionError: too deep"]


def test_what_an_action_prints_is_no_traceback() -> None:
    assert find_tracebacks(log('File "x", line 1, in y', stream="stdout"), read_file) == []
    assert find_tracebacks([*log("hello"), "no stamp", ""], read_file) == []
