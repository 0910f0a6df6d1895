"""Whether a file or folder has changed, and what is found if it cannot be read."""

from __future__ import annotations

from pathlib import Path

from hotwhisk.artifact import snapshot
from hotwhisk.digest import digest_of
from hotwhisk.server.named_file import digest_at, has_digest
from hotwhisk.supervisor.commands import Origin
from hotwhisk.system.system import System
from tests.support.limits import descriptors_left


def test_the_digest_of_a_file_and_of_a_folder_is_that_of_the_version(tmp_path: Path) -> None:
    source = b"import part\ndef main(event): return {}\n"
    (tmp_path / "__main__.py").write_bytes(source)
    assert digest_at(f"{tmp_path}/__main__.py") == digest_of(source)
    (tmp_path / "part.py").write_bytes(b"")
    of_file = snapshot.of_file(f"{tmp_path}/__main__.py", source).digest
    of_folder = snapshot.of_folder(str(tmp_path), f"{tmp_path}/__main__.py", source).digest
    assert digest_at(f"{tmp_path}/__main__.py") == of_file
    assert digest_at(str(tmp_path)) == of_folder
    assert has_digest(System(), Origin(str(tmp_path)), of_folder)
    assert not has_digest(System(), Origin(str(tmp_path)), digest_of(b"other"))


def test_what_cannot_be_read_has_changed_and_a_module_has_not(tmp_path: Path) -> None:
    assert not has_digest(System(), Origin(f"{tmp_path}/missing.py"), digest_of(b""))
    assert not has_digest(System(), Origin(str(tmp_path)), digest_of(b""))
    assert has_digest(System(), Origin("hello", module=True), digest_of(b""))


def test_without_descriptors_a_file_has_changed(tmp_path: Path) -> None:
    source = b"def main(event): return {}\n"
    (tmp_path / "hello.py").write_bytes(source)
    system, origin = System(), Origin(f"{tmp_path}/hello.py")
    assert has_digest(system, origin, digest_of(source))
    for count in range(3):
        with descriptors_left(count):
            assert not has_digest(system, origin, digest_of(source))
