"""The handler of a built file. What its code does at the import is tested with processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hotwhisk.action.isolation import process_restored
from hotwhisk.aws_lambda.built_function import load_built
from hotwhisk.aws_lambda.failure import Failure
from hotwhisk.build import build

pytestmark = pytest.mark.slow

SOURCE = """\
def main(event):
    return "event only", event

def both(event, context):
    return event, context
"""


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a built file, in the working directory of a server's version."""
    (tmp_path / "app.py").write_text(SOURCE, encoding="utf-8")
    build(tmp_path / "app.py", tmp_path / "app")
    (tmp_path / "version" / "code").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "version" / "code")
    with process_restored():
        yield tmp_path / "app"


@pytest.mark.parametrize(
    ("name", "result"), [("", ("event only", 1)), ("app.both", (1, 2))], ids=["built", "named"]
)
def test_a_handler_gets_an_event_and_a_context_if_it_takes_one(
    built: Path, name: str, result: object
) -> None:
    found = load_built(str(built), name)
    assert not isinstance(found, Failure)
    assert found(1, 2) == result


def test_what_is_missing_or_was_not_built_is_a_failure(built: Path) -> None:
    for path, text in ((built.parent / "app.py", "hotwhisk build"), (Path("absent"), "No such")):
        found = load_built(str(path), "")
        assert isinstance(found, Failure)
        assert found.type == "Runtime.ImportModuleError"
        assert text in found.message
