"""Which sources are actions."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotwhisk.gateway.dev.handlers import has_handler, is_named_beside


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def main(event): return {}", True),
        ("async def main(event): return {}", True),
        ("main = lambda event: {}", True),
        ("try:\n    from part import other as main\nexcept ImportError:\n    pass", True),
        ("from part import *", True),
        ("def main(event:", True),  # a mistake that must be shown
        ("", False),
        (
            "'''The main part.'''\nmain_part = 1\ndef half(n):\n    main = n / 2\n    return main",
            False,
        ),
        ("class Main:\n    def main(self): pass", False),
    ],
)
def test_a_source_has_a_handler_if_it_defines_main(
    tmp_path: Path, source: str, expected: bool
) -> None:
    (tmp_path / "hello.py").write_text(source)
    assert has_handler(str(tmp_path / "hello.py"), "main") is expected


def test_a_module_belongs_to_its_neighbours_if_one_names_it(tmp_path: Path) -> None:
    helper = tmp_path / "numbers_helper.py"
    helper.write_text("# numbers_helper\n")
    (tmp_path / "other.py").write_text("import my_numbers_helper\n")
    assert not is_named_beside(str(helper))
    (tmp_path / "action.py").write_text("from numbers_helper import half\n")
    assert is_named_beside(str(helper))
