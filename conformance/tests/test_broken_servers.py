from __future__ import annotations

import pytest
from kit import Result, run_kit, server
from servers.go_compile import compile_go

from hotwhisk_conformance.go import go_source

ALL_PYTHON = {
    *(f"B{n}" for n in range(1, 11)),
    *(f"P{n}" for n in range(1, 11)),
    *("A1", "A2", "A3", "V1", "V2", "V3", "V4"),
}
ONE_SENTINEL = {"B3", "B5", "B6", "B7", "B8", "B9"} | {"P1", "P2", "P4", "P6", "A1", "A3"}
FAILED_INIT = {"P3", "P7", "A2"}
EMPTY_STDOUT = (ONE_SENTINEL | FAILED_INIT) - {"B6", "B7", "A3"}

PYTHON = {
    "": set(),
    "forgets sentinels": ONE_SENTINEL | FAILED_INIT,
    "writes no sentinel on stderr": ONE_SENTINEL | FAILED_INIT,
    "writes sentinels after init": ONE_SENTINEL | {"B4"},
    "prints a banner": EMPTY_STDOUT,
    "answers in chunks": ALL_PYTHON,
    "takes a second init": {"B4"},
    "is silent about a second init": {"B4"},
    "takes no code for code": {"B1", "B2"},
    "swallows unicode": {"B6", "B7"},
    "writes NaN": {"B6"},
    "wastes space": {"B10"},
    "sets the environment late": {"B8", "A3"},
    "drops the context": {"B9"},
    "ignores main": {"B5", "P1"},
    "takes any result": {"B3"},
    "stays where it is": {"P2"},
    "takes an archive without main": {"P3", "V3"},
    "swallows tracebacks": {"P4"},
    "calls all its refusals 400": {"P3", "P5", "P7", "A2", "V3", "V4"},
    "calls errors failures": {"P4", "P6"},
    "hides sys.executable": {"P8"},
    "knows no arrays": {"P9", "P10"},
    "dies with its action": {"A1", "A2"},
    "cannot compile": {"V1", "V2", "V3"},
    "compiles to text": {"V1", "V2", "V3"},
    "compiles to nothing": {"V1", "V2"},
    "takes any virtualenv": {"V4"},
}

ARRAYS = {"G11[script]", "G12[script]"}
BASIC = {f"B{n}" for n in range(1, 11)}
LOOP = {
    "": set(),
    "forgets sentinels": {"B3", "B5", "B6", "B7", "B8", "B9"},
    "takes an empty init": {"B2", "G1"},
    "knows no zip": {"G3"},
    "knows zips alone": {"G2"},
    "passes the value alone": {"B9"},
    "passes no environment": {"B8", "B9"},
    "waits for no acknowledgement": BASIC - {"B1", "B2", "B4"} | {"G2", "G3", *ARRAYS},
    "knows no arrays": ARRAYS,
}

COMPILED = {f"G{n}" for n in range(5, 11)} | {"G11[go]", "G12[go]"}
GO_FAULTS = {
    "": set(),
    "compiles nothing": COMPILED - {"G5"} | {f"B{n}[go]" for n in range(3, 11)},
    "ignores the name": {"G7", "G9", "B5[go]"},
    "compiles single files alone": {"G8", "G9", "G10"},
    "flattens folders": {"G10"},
    "compiles to nothing": {"G5"},
    "takes an empty init": {"G1", "G4", "B2[go]"},
    "forgets sentinels": {f"B{n}[go]" for n in (3, 5, 6, 7, 8, 9)},
}

SKELETON = {
    "": set(),
    "forgets sentinels": {"B3", "B5", "B6", "B7", "B9", "D1", "D2", "D3", "D4", "D5", "D6"},
    "has no stub": {"B2", "D1", "D2", "D3"},
    "takes any argument": {"D4"},
    "loses modes": {"D6", "D7[zip]"},
    "stays where it is": {"D7[source]", "D7[zip]"},
    "knows no arrays": {"D9"},
    "takes a second init": {"B4"},
}

CONCURRENCY = {
    "": set(),
    "never overlaps": {"C1"},
    "always overlaps": {"C2[function]", "C2[coroutine]"},
    "refuses as Node does": set(),
    "refuses with 503": {"C2[function]", "C2[coroutine]"},
    "forgets sentinels": {"C1", "C2[function]", "C2[coroutine]"},
}


HANGS = {"never overlaps"}
"""Faults for which a case ends by its time-out; all others get the time they need."""


def patience(fault: str) -> list[str]:
    return ["--timeout", "2"] if fault in HANGS else []


def fails(result: Result, expected: set[str]) -> bool:
    assert result.having("failed") == expected, result.output
    return result.code == (1 if expected else 0)


@pytest.mark.parametrize(("fault", "expected"), PYTHON.items(), ids=PYTHON)
def test_a_python_runtime(fault: str, expected: set[str]) -> None:
    result = run_kit(
        *("--command", server("python_runtime", fault)),
        *("--compile-command", server("python_runtime", fault, "-compile", "{main}")),
        *("--requirement", "made-up:made_up"),
    )
    assert result.outcomes.keys() == ALL_PYTHON
    assert fails(result, expected)
    assert result.having("passed") == ALL_PYTHON - expected


@pytest.mark.parametrize(("fault", "expected"), LOOP.items(), ids=LOOP)
def test_an_actionloop_runtime(fault: str, expected: set[str]) -> None:
    command = server("loop_runtime", fault)
    result = run_kit("--command", command, "--profile", "actionloop", *patience(fault))
    assert fails(result, expected)
    assert result.having("not run") == {"G4"} | COMPILED


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> None:
    """
    Compile Go once without a deadline.

    The first time takes ten seconds, all others one third.
    """
    folder = tmp_path_factory.mktemp("go")
    source, target = folder / "source", folder / "target"
    source.mkdir()
    target.mkdir()
    (source / "exec").write_text(go_source("Main"), encoding="utf-8")
    assert compile_go("main", source, target) == 0


@pytest.mark.usefixtures("go")
@pytest.mark.parametrize(("fault", "expected"), GO_FAULTS.items(), ids=GO_FAULTS)
def test_a_runtime_that_compiles_go(fault: str, expected: set[str]) -> None:
    result = run_kit(
        *("--command", server("loop_runtime", fault), "--profile", "actionloop", "--go"),
        *("--compile-command", server("loop_runtime", fault, "-compile", "{main}")),
        *("--cases", "test_g or actionloop-go"),
    )
    assert fails(result, expected)
    assert not result.having("not run")


@pytest.mark.parametrize(("fault", "expected"), SKELETON.items(), ids=SKELETON)
def test_a_skeleton_runtime(fault: str, expected: set[str]) -> None:
    result = run_kit("--command", server("skeleton_runtime", fault), "--profile", "skeleton")
    assert fails(result, expected)
    assert result.having("not run") == {f"E{n}" for n in range(1, 9)} | {"B8"}


@pytest.mark.parametrize("swapped", [False, True])
def test_images_with_actions_of_their_own(swapped: bool) -> None:
    names = ["badproxy", "example", "example"] if swapped else ["example", "badaction", "badproxy"]
    commands = [server("skeleton_runtime", name) for name in names]
    result = run_kit(
        *("--command", server("skeleton_runtime", ""), "--profile", "skeleton"),
        *("--example", commands[0], "--badaction", commands[1], "--badproxy", commands[2]),
        *("--timeout", "1", "--cases", "test_example"),
    )
    every = {f"E{n}" for n in range(1, 9)}
    assert result.outcomes.keys() == every
    assert fails(result, every if swapped else set())


@pytest.mark.parametrize(("fault", "expected"), CONCURRENCY.items(), ids=CONCURRENCY)
def test_a_runtime_under_overlap(fault: str, expected: set[str]) -> None:
    command = server("python_runtime", fault)
    result = run_kit("--command", command, "--profile", "concurrency", *patience(fault))
    assert fails(result, expected)
