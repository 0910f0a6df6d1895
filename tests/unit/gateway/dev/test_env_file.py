"""How the lines of a file of variables are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotwhisk.errors import UsageError
from hotwhisk.gateway.dev.env_file import read_env_file


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=plain", "plain"),
        ("  export A = spaced words  ", "spaced words"),
        ("A=before # a comment", "before"),
        ("A=with#inside", "with#inside"),
        ("A='single $x \\n' # comment", "single $x \\n"),
        ('A="two\\nlines \\"quoted\\" \\\\"', 'two\nlines "quoted" \\'),
        ("A=", ""),
        ("A=x=y", "x=y"),
        ("\ufeffA=after a mark", "after a mark"),
    ],
)
def test_values(tmp_path: Path, line: str, value: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"{line}\n\n# only a comment\n", encoding="utf-8")
    assert read_env_file(str(file)) == {"A": value}


def test_a_wrong_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("A=1\nnonsense\n")
    with pytest.raises(UsageError, match="line 2: expected NAME=value"):
        read_env_file(str(file))
    with pytest.raises(UsageError, match="cannot be read"):
        read_env_file(str(tmp_path / "absent"))
