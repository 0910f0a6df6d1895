"""A version that is posted as a snapshot: its sources lie on this machine, and keep their paths."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hotwhisk.artifact import snapshot
from tests.support.client import run_once
from tests.support.server import Server

pytestmark = pytest.mark.slow

HELLO = """\
import part
def main(event):
    if event:
        raise ValueError("no event")
    return {"file": __file__, "part": part.NAME, "data": open("data.txt").read()}
"""


def packed(folder: Path, **fields: str) -> bytes:
    path = folder / "hello.py"
    found = snapshot.of_file(str(path), path.read_bytes())
    values = {name: getattr(found, name) for name in found.fields}
    return snapshot.pack(snapshot.Snapshot(**{**values, **fields}))


def test_its_sources_have_their_own_paths_and_the_content_that_was_posted(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "hello.py").write_text(HELLO)
    (tmp_path / "part.py").write_text("NAME = 'first'\n")
    (tmp_path / "data.txt").write_text("beside")
    posted = packed(tmp_path)
    (tmp_path / "part.py").write_text("NAME = 'second'\n")
    server.post(posted)
    assert run_once(server.address, {}).body == (
        b'{"file":"%s/hello.py","part":"first","data":"beside"}\n' % str(tmp_path).encode()
    )
    assert "no event (hello.py:4)" in str(run_once(server.address, {"a": 1}).error)
    assert f'File "{tmp_path}/hello.py", line 4' in server.stderr()
    (server.folder / "stderr").write_text("")  # with a traceback, which is the action's


def test_it_names_the_libraries_that_were_made_for_it(server: Server, tmp_path: Path) -> None:
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = tmp_path / "made" / "lib" / python / "site-packages"
    packages.mkdir(parents=True)
    (packages / "wanted.py").write_text("NAME = 'found'\n")
    (tmp_path / "hello.py").write_text(
        "import wanted\ndef main(event): return vars(wanted)['NAME'],"
    )
    server.post(packed(tmp_path, libraries=str(tmp_path / "made")))
    assert run_once(server.address, {}).body == b'["found"]\n'
