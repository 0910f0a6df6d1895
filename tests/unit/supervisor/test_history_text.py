"""A history as text, and texts that are no history."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotwhisk.supervisor import history_text
from hotwhisk.supervisor.commands import Origin
from hotwhisk.supervisor.history import MOST_LISTED, Content, Version

DIGEST = "sha256:" + "ab" * 32
GOOD: dict[str, Any] = {
    "number": 3, "digest": DIGEST, "at": 1.5, "rollback_of": 0, "content": 2, "size": 7,
    "path": "", "module": False, "main": "main",
}  # fmt: skip


def document(*rows: object, number: object = history_text.FORMAT) -> bytes:
    return json.dumps({"hotwhisk_history": number, "versions": rows}).encode()


def flat(versions: list[Version]) -> list[tuple[object, ...]]:
    return [
        (each.number, each.digest, each.at, each.rollback_of, each.content.number,
         each.content.size, each.content.origin)
        for each in versions
    ]  # fmt: skip


@given(
    st.lists(
        st.tuples(st.floats(0, 1e12), st.text().map(lambda each: each.replace("\0", ""))),
        max_size=5,
    ),
    st.booleans(),
)
def test_a_history_is_read_as_it_was_written(given: list[tuple[float, str]], module: bool) -> None:
    versions = [
        Version(at + 2, DIGEST, round(when, 3), Content(at + 1, Origin(path, module, path), at))
        for at, (when, path) in enumerate(given)
    ]
    assert flat(history_text.read(history_text.write(versions))) == flat(versions)


def test_versions_of_one_content_share_it() -> None:
    first = Content(1, Origin())
    versions = [Version(1, DIGEST, 1.0, first), Version(2, DIGEST, 2.0, first, 1)]
    read = history_text.read(history_text.write(versions))
    assert read[0].content is read[1].content
    assert [each.how for each in read] == ["replace", "rollback"]


def test_a_path_that_is_not_unicode_is_kept() -> None:
    version = Version(1, DIGEST, 1.0, Content(1, Origin("/\udcff.py")))
    (read,) = history_text.read(history_text.write([version]))
    assert read.content.origin.path == "/\udcff.py"


def test_unknown_members_of_a_version_are_ignored() -> None:
    assert history_text.read(document({**GOOD, "later": 1}))[0].number == 3


@pytest.mark.parametrize(
    "change",
    [
        {"number": 0}, {"number": True}, {"number": "3"}, {"number": 1 << 60}, {"number": 3.0},
        {"digest": "sha256:0"}, {"digest": f"{DIGEST}\r\n"}, {"at": None}, {"at": -1},
        {"content": 4}, {"content": 0}, {"size": -1}, {"path": "a\0b"}, {"path": None},
        {"module": 0}, {"main": ["main"]}, {"rollback_of": -1},
    ],
)  # fmt: skip
def test_a_value_that_is_wrong_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="of a version"):
        history_text.read(document({**GOOD, **change}))


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"versions": []}', document("row"),
        document(GOOD, GOOD), document(*[GOOD] * (MOST_LISTED + 1)), document(number="1"),
        b'{"hotwhisk_history": 1, "versions": {}}', document({}),
        document({**GOOD, "at": 0}).replace(b'"at": 0', b'"at": NaN'),
    ],
    ids=lambda text: str(len(text)),
)  # fmt: skip
def test_a_text_that_is_not_a_history_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        history_text.read(text)


@given(st.binary(max_size=200) | st.recursive(st.none(), st.lists).map(document))
def test_whatever_is_read_is_a_history_or_a_value_error(text: bytes) -> None:
    try:
        history_text.read(text)
    except ValueError:
        pass


def test_a_text_of_a_later_hotwhisk_is_told_from_a_damaged_one() -> None:
    with pytest.raises(history_text.LaterFormat):
        history_text.read(document(number=history_text.FORMAT + 1))
