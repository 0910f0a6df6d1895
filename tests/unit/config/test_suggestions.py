"""Only words that are alike are proposed, whatever all words have in common."""

from __future__ import annotations

import pytest

from hotwhisk.config.suggestions import nearest, nearest_file


@pytest.mark.parametrize(
    ("missing", "there", "found"),
    [
        ("helo.py", ["hello.py", "world.py"], "hello.py"),
        ("ab.py", ["xy.py", "cd.py"], ""),
        ("main.py", ["util.py", "data.py"], ""),
        ("hello", ["hello.py", "other"], "hello.py"),
        ("hello.pyy", ["hello.txt", "hello.py"], "hello.py"),
        ("hello.txt", ["hello.py", "hello.txt2"], "hello.txt2"),
        ("Hello.py", ["hello.py"], "hello.py"),
        ("greter", ["greeter", "greet.py"], "greeter"),
        ("hello.py", [], ""),
    ],
)
def test_an_end_that_names_share_does_not_make_them_alike(
    missing: str, there: list[str], found: str
) -> None:
    assert nearest_file(missing, there) == found


@pytest.mark.parametrize(
    ("word", "known", "found"),
    [
        ("HOTWHISK_FOO", ["HOTWHISK_PORT", "HOTWHISK_HOST"], ""),
        ("HOTWHISK_PROT", ["HOTWHISK_PORT", "HOTWHISK_HOST"], "HOTWHISK_PORT"),
        ("--ab", ["--cd", "--port"], ""),
        ("--prot", ["--port", "--host"], "--port"),
        ("--init_timeout", ["--timeout", "--init-timeout"], "--init-timeout"),
        ("--work", ["--port", "--workers"], "--workers"),
    ],
)
def test_a_beginning_that_words_share_does_not_make_them_alike(
    word: str, known: list[str], found: str
) -> None:
    assert nearest(word, known) == (f"; did you mean {found}?" if found else "")
