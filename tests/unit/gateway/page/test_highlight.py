from __future__ import annotations

import pytest

from hotwhisk.gateway.page.highlight import highlight

SOURCE = '''"""A text
over two lines."""

def main(args):  # a comment
    return {"n": 1, "ä": f"{args} b"}
'''


def test_the_spans_of_a_source() -> None:
    lines = highlight(SOURCE)
    assert lines[0] == [("string", '"""A text')]
    assert lines[1] == [("string", 'over two lines."""')]
    assert lines[2] == []
    assert lines[3] == [
        ("keyword", "def"), ("", " main(args):  "), ("comment", "# a comment"),
    ]  # fmt: skip
    assert lines[4][:5] == [
        ("", "    "), ("keyword", "return"), ("", " {"), ("string", '"n"'), ("", ": "),
    ]  # fmt: skip
    assert ("string", '"ä"') in lines[4]


@pytest.mark.parametrize(
    "text",
    [
        SOURCE,
        "",
        "def main(args:\n    return {}\n",
        "x = '''never closed\n",
        "if x:\n\ty\n        z\n",
        "\x00\x01\n",
        "<script>alert(1)</script>\r\nx = 1\r\n",
        "a = 1\x0cb = 2\n\x1cc = 3\u2028d = 4\n",
        "  x\n y\n",
        "\\",
        "§ ? !\n",
    ],
)
def test_no_character_is_lost(text: str) -> None:
    lines = ["".join(piece for _, piece in spans) for spans in highlight(text)]
    assert lines == text.splitlines()
