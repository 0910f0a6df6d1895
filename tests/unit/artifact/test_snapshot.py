"""Which sources belong to a version that is served from where it lies, and its digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotwhisk.artifact import snapshot
from hotwhisk.artifact.artifact import digest_of
from hotwhisk.artifact.snapshot import Snapshot
from hotwhisk.system.removal import remove
from tests.support.trees import nest


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def of_file(folder: Path) -> Snapshot:
    path = folder / "hello.py"
    return snapshot.of_file(str(path), path.read_bytes())


def of_folder(folder: Path) -> Snapshot:
    entry = folder / "__main__.py"
    return snapshot.of_folder(str(folder), str(entry), entry.read_bytes())


PROJECT = {
    "hello.py": "import part\ndef main(event):\n    from late import x\n",
    "part.py": "from package.sub import deep\n",
    "late.py": "x = 1\n",
    "package/__init__.py": "",
    "package/sub/__init__.py": "",
    "package/sub/deep.py": "import named_by_deep\n",
    "named_by_deep.py": "",
    "unrelated.py": "",
    "other/__init__.py": "",
    "notes.txt": "",
}


def test_of_a_file_what_it_names_directly_and_through_others(tmp_path: Path) -> None:
    write(tmp_path, PROJECT)
    found = of_file(tmp_path)
    assert set(found.files) == set(PROJECT) - {"unrelated.py", "other/__init__.py", "notes.txt"}
    assert found.entry == "hello.py"
    assert found.root == str(tmp_path)
    assert not found.whole


def test_of_a_folder_all_sources(tmp_path: Path) -> None:
    left_out = dict.fromkeys(("venv/lib/x.py", "env/x.py", "env/pyvenv.cfg", ".hidden/x.py", "__pycache__/x.py", "node_modules/x.py", ".x.py", "x.py~", "virtualenv/lib/x.py"), "import part\n")  # fmt: skip
    write(tmp_path, {**PROJECT, **left_out, "__main__.py": "", "requirements.txt": "six\n"})
    found = of_folder(tmp_path)
    assert set(found.files) == set(PROJECT) - {"notes.txt"} | {"__main__.py", "requirements.txt"}
    assert found.whole


def test_a_source_that_is_alone_has_the_digest_of_its_text(tmp_path: Path) -> None:
    write(tmp_path, {"hello.py": "def main(event): return {}\n", "unrelated.py": ""})
    assert of_file(tmp_path).digest == digest_of((tmp_path / "hello.py").read_bytes())


@pytest.mark.parametrize("name", ["hello.py", "part.py", "late.py", "package/sub/deep.py"])
def test_the_digest_of_a_file_covers_what_it_imports(tmp_path: Path, name: str) -> None:
    write(tmp_path, PROJECT)
    before = of_file(tmp_path).digest
    assert of_file(tmp_path).digest == before
    write(tmp_path, {"unrelated.py": "changed", "notes.txt": "changed"})
    assert of_file(tmp_path).digest == before
    with (tmp_path / name).open("a") as file:
        file.write("# changed\n")
    assert of_file(tmp_path).digest != before


@pytest.mark.parametrize("name", ["notes.txt", "new.txt", "unrelated.py"])
def test_the_digest_of_a_folder_covers_every_file(tmp_path: Path, name: str) -> None:
    write(tmp_path, {**PROJECT, "__main__.py": ""})
    before = of_folder(tmp_path).digest
    write(tmp_path, {name: "changed"})
    assert of_folder(tmp_path).digest != before


def test_packed_and_unpacked(tmp_path: Path) -> None:
    write(tmp_path, {**PROJECT, "late.py": "x = '\u20ac'\n"})
    found = of_file(tmp_path)
    assert snapshot.unpack(snapshot.pack(found)) == found
    assert snapshot.unpack(memoryview(snapshot.pack(found))) == found
    made = {"libraries": "/made for/it", "prelude": "import sys  # \u20ac"}
    full = Snapshot.of({**{name: getattr(found, name) for name in found.fields}, **made})
    assert snapshot.unpack(snapshot.pack(full)) == full
    assert snapshot.unpack(b"def main(event): return {}\n") is None


def test_folders_in_a_circle_are_read_once(tmp_path: Path) -> None:
    write(tmp_path, {"hello.py": "import package\n", "package/__init__.py": ""})
    (tmp_path / "package" / "again").symlink_to("..")
    (tmp_path / "package" / "nothing").symlink_to("nothing")
    found = of_file(tmp_path)
    assert {"hello.py", "package/__init__.py"} <= set(found.files)
    assert len(found.files) <= 4


def test_a_thousand_folders_in_each_other(tmp_path: Path) -> None:
    write(tmp_path, {"hello.py": "import package\n"})
    nest(tmp_path / "package", 1000)
    try:
        assert set(of_file(tmp_path).files) == {"hello.py"}
    finally:
        remove(str(tmp_path / "package"))  # pytest cannot


def test_of_a_module_its_package_and_unless_alone_what_that_names(tmp_path: Path) -> None:
    write(tmp_path, PROJECT)
    found = snapshot.of_module(str(tmp_path), "package", alone=False)
    assert set(found.files) == {
        "package/__init__.py", "package/sub/__init__.py", "package/sub/deep.py",
        "named_by_deep.py",
    }  # fmt: skip
    alone = snapshot.of_module(str(tmp_path), "package", alone=True)
    assert "named_by_deep.py" not in alone.files
    assert "package/sub/deep.py" in alone.files
