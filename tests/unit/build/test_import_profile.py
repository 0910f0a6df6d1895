from __future__ import annotations

import pytest

from hotwhisk.build.import_profile import Import, profile, tree_of
from hotwhisk.errors import BuildFailed

OUTPUT = """\
import time: self [us] | cumulative | imported package
import time:       100 |        100 |     a.b.c
import time:       200 |        300 |   a.b
import time:        50 |         50 |   a.d
import time:       650 |       1000 | a
a line of the action
import time:       500 |        500 | z
"""


def test_imports_are_below_those_that_made_them() -> None:
    assert tree_of(OUTPUT.splitlines()) == (
        Import("a", 1.0, (Import("a.b", 0.3, (Import("a.b.c", 0.1),)), Import("a.d", 0.05))),
        Import("z", 0.5),
    )


@pytest.mark.slow
def test_only_the_imports_of_the_action_are_measured() -> None:
    source = b"import wave\n\n\ndef handle(args):\n    return {}\n"
    found = profile(source, "handle")
    assert "wave" in {each.module for each in found}
    assert not {each.module for each in found} & {"hotwhisk", "site"}


@pytest.mark.slow
def test_an_action_without_imports() -> None:
    assert profile(b"def main(args):\n    return {}\n") == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"import nothing_like_it\n", "No module named 'nothing_like_it'"),
        (b"def main(args:\n", "never closed"),
        (b"x = 1\n", "main"),
        (b"import os\nos._exit(0)\n", "end the process here, and print nothing"),
    ],
)
def test_why_it_cannot_be_loaded(source: bytes, reason: str) -> None:
    with pytest.raises(BuildFailed, match=reason):
        profile(source)
