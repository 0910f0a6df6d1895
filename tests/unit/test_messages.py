"""
What crosses between processes: there and back, and what is refused.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotwhisk import messages
from hotwhisk.ledger import WORKERS
from hotwhisk.messages import (
    HANDED_AT_ONCE,
    KINDS,
    MAX_DESCRIPTORS,
    VERSION,
    Hand,
    Load,
    Message,
    Ready,
    Recall,
    UnknownMessage,
    decode,
    encode,
)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int": st.integers(0, 2**60),
    "str": st.text(),
    "bool": st.booleans(),
    "Sequence[Sequence[int]]": st.lists(st.lists(st.integers(), max_size=4), max_size=5),
}


def any_of(kind: type[Message]) -> st.SearchStrategy[Message]:
    declared = {name: kind.__annotations__[name] for name in kind.fields}
    return st.builds(kind, **{name: VALUES[each] for name, each in declared.items()})


@given(st.sampled_from(sorted(KINDS)).flatmap(lambda kind: any_of(KINDS[kind])))
def test_there_and_back(message: Message) -> None:
    assert decode(encode(message)) == message


def test_every_message_has_its_kind_and_its_defaults() -> None:
    made = [each for each in vars(messages).values() if isinstance(each, type)]
    declared = {each for each in made if issubclass(each, Message) and each is not Message}
    assert set(KINDS.values()) == declared
    for kind, declaration in KINDS.items():
        assert declaration.kind == kind
        assert decode(f'[{VERSION},"{kind}",{{}}]'.encode()) == declaration()


def test_the_form_on_the_wire() -> None:
    version, kind, values = json.loads(encode(Ready("abc", True)))
    assert (version, kind, values) == (1, "ready", {"digest": "abc", "overlap": True})


def test_an_unknown_field_is_left_out() -> None:
    assert decode(b'[1,"recall",{"leave":true,"politely":true}]') == Recall(leave=True)


def test_a_missing_field_has_its_default() -> None:
    assert decode(b'[1,"load",{"generation":7}]') == Load(generation=7)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"ready",
        b"\xff\xfe",
        b"{}",
        b"[]",
        b'[1,"ready"]',
        b'[1,"ready",{},4]',
        b'[1,"reddy",{}]',
        b'[1,["ready"],{}]',
        b'[2,"ready",{}]',
        b'[null,"ready",{}]',
        b'["1","ready",{}]',
        b'[1,"ready",[]]',
        b'[1,"ready",null]',
        b"[" * 60_000,
    ],
)
def test_what_is_no_message_of_this_version_is_refused(packet: bytes) -> None:
    with pytest.raises(UnknownMessage):
        decode(packet)


def test_the_refusal_names_what_was_expected() -> None:
    with pytest.raises(UnknownMessage, match="version 2, expected 1"):
        decode(b'[2,"ready",{}]')


def test_a_full_hand_keeps_the_limits_of_a_packet() -> None:
    assert 2 * HANDED_AT_ONCE <= MAX_DESCRIPTORS
    spill = ((WORKERS - 1) << 40) + (2**22 << 16)
    full = Hand([[16383, 2**40, spill, 56 << 20]] * HANDED_AT_ONCE, "no-action")
    assert len(encode(full)) < 65536
