"""Artifacts for the image, by ``hotwhisk build``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .container import SLIM, python_of


def build(folder: Path, source: str, *requirements: str, image: str = SLIM) -> Path:
    """Build an action in a folder of its own, for the Python of the image."""
    action = folder / "action"
    action.mkdir(parents=True)
    (action / "__main__.py").write_text(source, encoding="utf-8")
    (action / "requirements.txt").write_text("\n".join(requirements), encoding="utf-8")
    command = [sys.executable, "-m", "hotwhisk", "build", str(action), "--name", "action"]
    done = subprocess.run(
        [*command, "--output", str(folder / "built"), "--python", python_of(image)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "built"
