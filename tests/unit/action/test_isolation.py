"""Which modules of an action win over those of the interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hotwhisk.action.isolation import STAYS


def test_no_file_replaces_what_the_interpreter_loads_before_the_first_line(
    tmp_path: Path,
) -> None:
    # Without site: the .pth files of an environment import what they like. A file, because Python
    # 3.13 imports linecache for the code of -c.
    file = tmp_path / "modules.py"
    file.write_text("import sys; print(*{name.partition('.')[0] for name in sys.modules})")
    command = [sys.executable, "-I", "-S", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= STAYS
