"""What is stored of an action is what the platform takes, by the platform's own measure."""

from __future__ import annotations

import base64
import io
import os
import zipfile
from pathlib import Path

import pytest

from hotwhisk.artifact import snapshot
from hotwhisk.errors import BuildFailed
from hotwhisk.gateway.dev.project import Source, open_project
from hotwhisk.gateway.dev.stored_code import Code, PlatformCode
from hotwhisk.sizes import MOST_CODE, code_size

ACTION = b"def main(event): return {}\n"


def project(folder: Path, **files: bytes) -> Source:
    (folder / "__main__.py").write_bytes(ACTION)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    [source] = open_project(str(folder)).sources()
    return source


def make(source: Source, stored: PlatformCode | None = None) -> Code:
    with open(source.entry, "rb") as file:
        content = file.read()
    if source.entry == source.path:
        kept = snapshot.of_file(source.path, content)
    else:
        kept = snapshot.of_folder(source.path, source.entry, content)
    return (stored or PlatformCode()).make(source, kept)


def names(code: Code) -> list[str]:
    assert code.binary
    assert code_size(code.text) <= MOST_CODE
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(code.text))) as archive:
        assert archive.testzip() is None
        return sorted(archive.namelist())


@pytest.mark.slow
def test_text_counts_as_the_zip_that_is_posted(tmp_path: Path) -> None:
    code = make(project(tmp_path, words_txt=b"of the text\n" * (5 << 20)))
    assert (names(code), code.warning) == (["__main__.py", "words.txt"], "")


@pytest.mark.slow
def test_data_that_is_too_large_in_base64_is_left_out(tmp_path: Path) -> None:
    content = os.urandom(40 << 20)  # it cannot be compressed, and is 53 MB in base64
    files = {"model_bin": content, "requirements_txt": b"# none\n", "part_py": b""}
    code = make(project(tmp_path, **files))
    assert names(code) == ["__main__.py", "part.py", "requirements.txt"]
    assert (
        "has 53.3 MB as it would be posted (a zip in base64), more than the 48 MB" in code.warning
    )
    assert code.warning.endswith("the largest of the others is model.bin, with 40 MB")


@pytest.mark.slow
@pytest.mark.parametrize("alone", [True, False])
def test_sources_that_are_too_large_are_refused(tmp_path: Path, alone: bool) -> None:
    if alone:
        (tmp_path / "hello.py").write_bytes(ACTION + b"#" * MOST_CODE)
        [source] = open_project(str(tmp_path / "hello.py")).sources()
    else:
        source = project(tmp_path, part_py=b"#" + os.urandom(40 << 20))
    with pytest.raises(BuildFailed, match=r"the sources of .* and the platform takes"):
        make(source)


def test_a_change_of_sources_and_one_of_data_are_in_the_next_code(tmp_path: Path) -> None:
    stored = PlatformCode()
    source = project(tmp_path, part_py=b"", words_txt=b"one")
    first = make(source, stored)
    assert make(source, stored) == make(source) == first
    (tmp_path / "part.py").write_bytes(b"x = 1\n")
    second = make(source, stored)
    (tmp_path / "words.txt").write_bytes(b"two")
    third = make(source, stored)
    (tmp_path / "words.txt").unlink()
    fourth = make(source, stored)
    assert len({each.text for each in (first, second, third, fourth)}) == 4
    assert names(third) == ["__main__.py", "part.py", "words.txt"]
    assert names(fourth) == ["__main__.py", "part.py"]


def test_one_source_is_stored_as_text(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_bytes(ACTION)
    [source] = open_project(str(tmp_path / "hello.py")).sources()
    assert make(source) == Code(ACTION.decode(), binary=False)
