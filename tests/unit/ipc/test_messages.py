"""Messages between processes: there and back, and what is refused."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotwhisk.ipc import messages
from hotwhisk.ipc.messages import (
    ASSIGNED_AT_ONCE,
    FROM_TEMPLATE,
    FROM_WORKER,
    KINDS,
    MAX_DESCRIPTORS,
    Assign,
    Failed,
    Load,
    Message,
    ProtocolError,
    Ready,
    Recall,
    Released,
    SendError,
    Spawn,
    Spawned,
    TemplateReady,
)
from hotwhisk.ipc.packets import VERSION, decode, encode
from hotwhisk.ipc.scoreboard import WORKERS
from hotwhisk.openwhisk.answers import LONGEST_DETAIL

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
    assert (version, kind, values) == (2, "ready", {"digest": "abc", "overlap": True})


def test_an_unknown_field_is_left_out() -> None:
    assert decode(b'[2,"recall",{"drain":true,"politely":true}]') == Recall(drain=True)


def test_a_missing_field_has_its_default() -> None:
    assert decode(b'[2,"load",{"generation":7}]') == Load(generation=7)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"ready",
        b"\xff\xfe",
        b"{}",
        b"[]",
        b'[2,"ready"]',
        b'[2,"ready",{},4]',
        b'[2,"reddy",{}]',
        b'[1,["ready"],{}]',
        b'[3,"ready",{}]',
        b'[null,"ready",{}]',
        b'["1","ready",{}]',
        b'[2,"ready",[]]',
        b'[2,"ready",null]',
        b"[" * 60_000,
    ],
)
def test_what_is_no_message_of_this_version_is_refused(packet: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(packet)


def test_the_refusal_names_what_was_expected() -> None:
    with pytest.raises(ProtocolError, match="version 3, expected 2"):
        decode(b'[3,"ready",{}]')


def test_a_full_assignment_keeps_the_limits_of_a_packet() -> None:
    assert 2 * ASSIGNED_AT_ONCE <= MAX_DESCRIPTORS
    spill = ((WORKERS - 1) << 40) + (2**22 << 16)
    full = Assign(
        [[16383, 2**40, spill, 56 << 20]] * ASSIGNED_AT_ONCE,
        "load-failed",
        "\U0001f40d" * LONGEST_DETAIL,
    )
    assert len(encode(full)) < 65536


# -- from a sender that is not trusted ---------------------------------------------------------

DIGEST = "sha256:" + 64 * "a"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
FIELDS = sorted({name for kind in KINDS.values() for name in kind.fields})
PACKETS = st.one_of(
    st.binary(max_size=60),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.tuples(
        st.sampled_from([VERSION, VERSION, VERSION, 0, 2, None]),
        st.sampled_from(sorted(KINDS)) | st.text(max_size=6),
        st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=5),
    ).map(lambda message: json.dumps(message).encode()),
)
IS = {
    "int": lambda value: type(value) is int and 0 <= value < 2**64,
    "str": lambda value: type(value) is str,
    "bool": lambda value: type(value) is bool,
}


@settings(max_examples=1000)
@given(PACKETS, st.integers(0, 5))
def test_whatever_comes_is_a_sound_message_or_refused(packet: bytes, descriptors: int) -> None:
    try:
        message = decode(packet, FROM_WORKER, descriptors)
    except ProtocolError:
        return
    assert type(message) in FROM_WORKER
    assert message.descriptors() == descriptors
    assert not message.check()
    for name in message.fields:
        value, declared = getattr(message, name), message.__annotations__[name]
        if declared in IS:
            assert IS[declared](value)
        else:
            assert all(len(row) == message.width for row in value)
            assert all(IS["int"](each) for row in value for each in row)


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_a_field_of_another_type_is_refused(kind: str, data: st.DataObject) -> None:
    message = KINDS[kind]
    if not message.fields or message not in FROM_WORKER:
        return
    name = data.draw(st.sampled_from(message.fields))
    declared = message.__annotations__[name]
    if declared not in IS:
        declared = "bool"  # no row is one
    value = data.draw(JSON.filter(lambda value: not IS[declared](value)))
    if isinstance(value, list) and not value:
        return  # no rows at all are right
    packet = json.dumps([VERSION, kind, {name: value}]).encode()
    with pytest.raises(ProtocolError):
        decode(packet, FROM_WORKER, 0)


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        ('[2,"init_received",{"number":true}]', "the field number is not of type int"),
        ('[2,"init_received",{"number":-1}]', "the field number"),
        ('[2,"init_received",{"length":18446744073709551616}]', "values up to 2^64 - 1"),
        ('[2,"spill_closed",{"spill":[1]}]', "the field spill"),
        ('[2,"released",{"connections":5}]', "the field connections"),
        ('[2,"released",{"connections":[[1,2,3]]}]', "the field connections"),
        ('[2,"released",{"connections":[1]}]', "the field connections"),
        ('[2,"released",{"recalled":0}]', "the field recalled"),
        ('[2,"load",{}]', "not for this sender"),
        ('[2,"template_ready",{"pid":5}]', "0 descriptors, expected 2"),
        ('[2,"spill_created",{"spill":5}]', "0 descriptors, expected 1"),
        ('[2,"template_ready",{"pid":0}]', "0 descriptors"),
        ('[2,"failed",{"status":200}]', "200 is no status of a failure"),
        ('[2,"failed",{"status":600}]', "600 is no status"),
        ('[2,"compared",{"difference":"a\\nb"}]', "no line of printable text"),
        (f'[2,"compared",{{"difference":"{"x" * 801}"}}]', "more than 800 characters"),
        ('[2,"ready",{"digest":"sha256:0\\r\\nSet-Cookie: a"}]', "the digest"),
        (f'[2,"ready",{{"digest":"{DIGEST}\\n"}}]', "the digest"),
        ('[2,"ready",{}]', "the digest"),
        (f'[2,"ready",{{"digest":"{DIGEST}","length":1}}]', "no memory file"),
    ],
)
def test_the_refusal_of_a_wrong_value_says_which(packet: str, why: str) -> None:
    with pytest.raises(ProtocolError, match=re.escape(why)):
        decode(packet.encode(), FROM_WORKER)


@pytest.mark.parametrize("pid", [0, 1, 2**31])
def test_a_template_has_a_process_id_that_is_no_group(pid: int) -> None:
    with pytest.raises(ProtocolError, match=f"no process has the id {pid}"):
        decode(encode(TemplateReady(pid)), FROM_WORKER, 2)
    assert decode(encode(TemplateReady(4711)), FROM_WORKER, 2) == TemplateReady(4711)
    assert decode(encode(TemplateReady(reason="threads")), FROM_WORKER) == TemplateReady(
        reason="threads"
    )


def test_a_template_may_send_only_that_it_has_forked() -> None:
    assert decode(encode(Spawned(3)), FROM_TEMPLATE) == Spawned(3, 0)
    assert decode(encode(Spawned(3, 4711)), FROM_TEMPLATE) == Spawned(3, 4711)
    for packet in (encode(Spawned(3, 1)), encode(Failed(500)), b'[2,"spawned",{"pid":"5"}]'):
        with pytest.raises(ProtocolError):
            decode(packet, FROM_TEMPLATE)


def test_the_number_of_descriptors_of_each_order() -> None:
    assert Load().descriptors() == Load(path="f.py", length=3).descriptors() == 1
    assert Load(path="f.py").descriptors() == 0
    assert Assign([[1, 1, 0, 0], [2, 2, 7, 5]]).descriptors() == 3
    assert SendError().descriptors() == Spawn().descriptors() == 1
    assert Released([[1, 2]]).descriptors() == 0
