"""Which modules of an action win over those of the interpreter."""

from __future__ import annotations

import subprocess
import sys

from hotwhisk.action.isolation import STAYS


def test_no_file_replaces_what_the_interpreter_loads_before_the_first_line() -> None:
    # Without site: the .pth files of an environment import what they like.
    code = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= STAYS
