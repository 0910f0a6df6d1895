from __future__ import annotations

import base64

import pytest

from hotwhisk.artifact.kinds import Kind
from hotwhisk.gateway.page.source import file_text, read_source
from tests.support.archives import tar_of, zip_of

MAIN = "from lib.x import f\n\n\ndef main(args):\n    return f(args)\n"
FILES = {
    "__main__.py": MAIN,
    "lib/x.py": "def f(a):\n    return a\n",
    "virtualenv/lib/python3.11/site-packages/y.py": "",
}


def code_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize("code", [MAIN, code_of(MAIN.encode())])
def test_a_source(code: str) -> None:
    source = read_source(code)
    assert (source.kind, source.text, source.files) == (Kind.SOURCE, MAIN, ())
    assert file_text(code, "/home/me/hello.py") == MAIN


@pytest.mark.parametrize(
    "code", [code_of(zip_of(FILES)), code_of(tar_of(FILES))], ids=["zip", "tar"]
)
def test_an_archive(code: str) -> None:
    source = read_source(code)
    assert source.text == MAIN
    assert source.main == "__main__.py"
    assert [file.name for file in source.files] == ["__main__.py", "lib/x.py"]
    assert source.libraries == 1
    assert file_text(code, "lib/x.py") == FILES["lib/x.py"]
    assert file_text(code, "/home/me/shop/lib/x.py") == FILES["lib/x.py"]
    assert file_text(code, "main__.py") == MAIN
    assert file_text(code, "/home/me/shop/hello.py") == MAIN
    assert file_text(code, "x.py") is None
    assert file_text(code, "../../etc/passwd") is None


def test_a_program_is_no_text() -> None:
    code = code_of(b"\x7fELF" + bytes(200))
    source = read_source(code)
    assert (source.kind, source.text) == (Kind.EXECUTABLE, None)
    assert file_text(code, "exec") is None


def test_a_damaged_archive_is_no_error() -> None:
    whole = zip_of(FILES)
    code = code_of(whole[:50] + b"x" * 50)
    assert read_source(code).text is None
    assert file_text(code, "lib/x.py") is None
