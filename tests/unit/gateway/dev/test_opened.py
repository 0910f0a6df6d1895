"""Learn which files an action opens, from the process that opens them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hotwhisk.gateway.dev.opened import OpenedFiles

CHILD = """\
import os, sys
from hotwhisk.gateway.dev.in_action import begin
root, pipe = sys.argv[1:]
os.chdir(root)
begin("hello", root, pipe)
open("read.txt").close()
os.close(os.open(b"low.txt", os.O_RDONLY))
open("written.txt", "w").close()
open("written.txt").close()
os.close(os.open("low_written.txt", os.O_RDWR | os.O_CREAT))
open("deep/../read.txt").close()
try:
    open("absent.txt")
except FileNotFoundError:
    pass
open(sys.executable, "rb").close()
open(0, closefd=False).close()
import module
"""


@pytest.mark.slow
def test_what_is_read_and_never_written_below_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "deep").mkdir(parents=True)
    for name in ("read.txt", "low.txt", "module.py"):
        (root / name).write_text("")
    opened = OpenedFiles(str(root / "pipe"))  # also below the root
    environ = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", CHILD, str(root), opened.pipe]
    subprocess.run(command, check=True, env=environ, stdin=subprocess.DEVNULL)
    assert opened.take()
    assert [Path(path).name for path in opened.of("hello")] == [
        "absent.txt", "low.txt", "module.py", "read.txt",
    ]  # fmt: skip
    assert opened.of("other") == []
    assert not opened.take()


def test_what_is_no_report_is_left_out(tmp_path: Path) -> None:
    opened = OpenedFiles(str(tmp_path / "pipe"))
    with open(opened.pipe, "wb", buffering=0) as pipe:
        pipe.write(b'nonsense\n[1]\n{"action": "a"}\n{"action": "a", "path": "/x", "written": ')
        opened.take()
        pipe.write(b"false}\n")
    opened.take()
    assert opened.of("a") == ["/x"]
