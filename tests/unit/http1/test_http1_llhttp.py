"""Run llhttp's published request cases, copied into data/llhttp_cases.toml, on our reader."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from hotwhisk import errors
from hotwhisk.http1.http1 import Reader

Case = dict[str, object]

CASES: list[Case] = tomllib.loads(
    (Path(__file__).parent / "data" / "llhttp_cases.toml").read_text(encoding="utf-8")
)["case"]


def case_name(case: Case) -> str:
    return str(case["name"])


def bytes_of(case: Case, key: str) -> bytes:
    return str(case.get(key, "")).encode("latin-1")


def that_we(what: str) -> list[Case]:
    return [case for case in CASES if case["ours"] == what]


def test_there_are_enough_cases_and_each_has_its_own_name() -> None:
    assert len({case_name(case) for case in CASES}) == len(CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_a_difference_from_llhttp_has_a_reason(case: Case) -> None:
    assert (case["llhttp"] == case["ours"]) == ("why" not in case)


@pytest.mark.parametrize("case", that_we("accept"), ids=case_name)
def test_accepted(case: Case) -> None:
    send = bytes_of(case, "send")
    request = Reader().examine(send, len(send))
    assert request is not None
    assert request.body == bytes_of(case, "body")
    assert send[request.end :] == bytes_of(case, "rest")
    for attribute in ("method", "path", "keep_alive"):
        if attribute in case:
            assert getattr(request.head, attribute) == case[attribute]
    if isinstance(header := case.get("header"), list):
        assert request.head.header(header[0]) == header[1]


@pytest.mark.parametrize("case", that_we("reject"), ids=case_name)
def test_rejected(case: Case) -> None:
    send = bytes_of(case, "send")
    with pytest.raises(errors.RequestError) as caught:
        Reader().examine(send, len(send))
    assert type(caught.value).__name__ == case["error"]


@pytest.mark.parametrize("case", that_we("more"), ids=case_name)
def test_incomplete(case: Case) -> None:
    send = bytes_of(case, "send")
    assert Reader().examine(send, len(send)) is None
