"""Which versions are kept, where a roll-back goes, and what is forgotten."""

from __future__ import annotations

import pytest

from hotwhisk.supervisor.commands import Artifact, Candidate, Origin
from hotwhisk.supervisor.history import (
    IN_MEMORY,
    MOST_BYTES,
    MOST_KEPT,
    MOST_LISTED,
    Content,
    History,
    Version,
)


class Named(Artifact):
    def __init__(self, name: str, path: str = "") -> None:
        self.name = name
        self.origin = Origin(path)

    def __repr__(self) -> str:
        return self.name


def serve(history: History, name: str, path: str = "", digest: str = "") -> list[str]:
    """Make a new version current; return what was released."""
    return add(history, Candidate(Named(name, path)), digest or name)


def add(history: History, candidate: Candidate, digest: str = "digest") -> list[str]:
    number = candidate.generation or history.next_number()
    return [repr(each) for each in history.add(candidate, number, digest)]


def roll_back(history: History, to: int = 0) -> list[str]:
    target = history.target(to)
    assert target is not None
    return add(history, target.candidate(), target.digest)


def store(history: History, number: int, size: int = 1) -> None:
    """Record that the state folder has a content."""
    history.stored(number, size, Named(f"file {number}"))
    history.forget_files()


def kept(history: History) -> list[int]:
    return [each.number for each in history.versions if each.content.is_kept]


def shown(version: Version | None) -> str:
    return "" if version is None else f"{version.number} {version.how} {version.digest}"


def test_without_a_folder_the_current_version_and_the_one_before_it_are_kept() -> None:
    history = History()
    assert serve(history, "A") == []
    assert serve(history, "B") == []
    assert serve(history, "C") == ["A"]
    assert kept(history) == [2, 3]
    assert [each.number for each in history.versions] == [1, 2, 3]
    assert shown(history.previous()) == "2 replace B"


def test_a_roll_back_has_a_number_of_its_own_and_an_earlier_content() -> None:
    history = History(lambda: 7.0)
    serve(history, "A", "/hello.py")
    serve(history, "B")
    assert roll_back(history) == []
    last = history.versions[-1]
    assert (last.number, last.how, last.rollback_of, last.at) == (3, "rollback", 1, 7.0)
    assert last.content is history.versions[0].content
    assert history.previous() is None
    assert history.why_no_rollback(0).endswith(
        "is a roll-back itself; none before it is kept; kept: 2"
    )
    roll_back(history, 2)
    assert shown(history.versions[-1]) == "4 rollback B"


def test_a_second_roll_back_goes_one_version_further_back() -> None:
    history = History()
    for name in "ABCD":
        serve(history, name)
        store(history, len(history.versions))
    for expected in ("C", "B", "A"):
        roll_back(history)
        assert history.versions[-1].digest == expected
    assert history.previous() is None
    serve(history, "E")
    assert shown(history.previous()) == "7 rollback A"


def test_what_is_in_the_folder_leaves_the_memory_and_is_kept() -> None:
    history = History()
    for name in "ABC":
        serve(history, name)
        store(history, len(history.versions))
    assert kept(history) == [1, 2, 3]
    first = history.versions[0].content
    assert (first.artifact, repr(first.file)) == (None, "file 1")
    assert repr(history.versions[1].candidate().artifact) == "B"
    assert repr(history.versions[0].candidate().artifact) == "file 1"


def test_a_content_is_forgotten_after_ten_others() -> None:
    history = History()
    for number in range(1, MOST_KEPT + 3):
        serve(history, f"{number}")
        store(history, number)
    assert kept(history) == list(range(3, MOST_KEPT + 3))


def test_contents_that_are_too_large_together_are_forgotten_but_for_two() -> None:
    history = History()
    for number in range(1, 5):
        serve(history, f"{number}")
        store(history, number, MOST_BYTES // 2)
    assert kept(history) == [3, 4]
    serve(history, "5")
    store(history, 5, 2 * MOST_BYTES)
    assert kept(history) == [4, 5]
    assert IN_MEMORY == 2


def test_many_roll_backs_between_two_versions_forget_neither() -> None:
    history = History()
    for name in "AB":
        serve(history, name)
        store(history, len(history.versions))
    for _ in range(MOST_LISTED):
        roll_back(history, history.versions[-2].number)
    assert len(history.versions) == MOST_LISTED
    assert {each.digest for each in history.versions} == {"A", "B"}
    assert len(kept(history)) == MOST_LISTED


def test_a_version_that_did_not_load_is_tried_again_only_by_name() -> None:
    history = History()
    for name in "ABC":
        serve(history, name)
        store(history, len(history.versions))
    history.load_failed(2)
    assert shown(history.previous()) == "1 replace A"
    assert shown(history.target(2)) == "2 replace B"
    roll_back(history, 2)
    assert history.versions[1].content.can_load


@pytest.mark.parametrize(
    ("to", "why"),
    [
        (0, "no roll-back begins: another one is under way, or the server stops"),
        (1, "generation 1 is not kept; kept: 2"),
        (3, "generation 3 is current; kept: 2"),
        (9, "generation 9 is not kept; kept: 2"),
    ],
)
def test_why_no_roll_back_begins(to: int, why: str) -> None:
    history = History()
    for name in "ABC":
        serve(history, name)
    assert history.why_no_rollback(to) == why
    assert (history.target(to) is None) is bool(to)


def test_why_there_is_nothing_to_roll_back_to() -> None:
    history = History()
    assert history.why_no_rollback(0) == "nothing to roll back to: no version is current"
    assert history.why_no_rollback(1) == "generation 1 is not kept, nor is another one"
    serve(history, "A")
    assert "generation 1 is the first version, or the one before it" in history.why_no_rollback(0)


def restored() -> History:
    """Return the history of an earlier server that served a FILE and then a posted version."""
    history = History()
    contents = [Content(1, Origin("/hello.py"), 1), Content(2, Origin(), 1)]
    for content in contents:
        content.file = Named(f"file {content.number}")
    numbers = zip((1, 2), "AB", contents, strict=True)
    history.restore([Version(number, digest, 1.0, content) for number, digest, content in numbers])
    return history


def test_the_version_that_was_current_keeps_its_number_and_changes_nothing() -> None:
    history = restored()
    candidate = history.versions[-1].candidate()
    candidate.generation = 2
    add(history, candidate, "B")
    assert [each.number for each in history.versions] == [1, 2]
    assert history.revision == 0
    assert history.versions[-1].content.artifact is candidate.artifact
    serve(history, "C")
    assert history.versions[-1].number == 3
    assert shown(history.previous()) == "2 replace B"


def test_before_the_first_load_a_roll_back_goes_to_the_version_that_was_current() -> None:
    assert shown(restored().previous()) == "2 replace B"


def test_the_same_file_at_a_start_is_the_same_version() -> None:
    history = restored()
    history.versions.pop()
    serve(history, "again", "/hello.py", "A")
    (only,) = history.versions
    assert (only.number, only.content.number, only.at) == (3, 1, 1.0)
    assert repr(only.content.artifact) == "again"
    serve(history, "and again", "/hello.py", "A")
    assert [each.number for each in history.versions] == [3, 4]


def test_another_file_at_a_start_is_another_version() -> None:
    for path, digest in (("/hello.py", "other"), ("/ciao.py", "A")):
        history = restored()
        history.versions.pop()
        serve(history, "other", path, digest)
        assert [each.number for each in history.versions] == [1, 3]
