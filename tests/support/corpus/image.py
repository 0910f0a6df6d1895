"""
The Python environment that serves the corpus: it has what an image has, and nothing else.

`REQUIREMENTS` are libraries that actions find in the image: those that the platform's image has
(requests, virtualenv), uv of OpenServerless' image, and joblib, numpy and pandas, which users add
by an image of their own. They are not in the environment of the tests, but in one like that of the
image, beside hotwhisk, which has no dependency. There actions do not see pytest and other libraries
of the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.support.corpus.cache import call, kept
from tests.support.corpus.case import CORPUS

REQUIREMENTS = CORPUS / "requirements.txt"
SOURCE = Path(__file__).parents[3] / "src"


def python() -> Path:
    """Return the interpreter of that environment; ``-m hotwhisk`` works in it."""
    folder = kept("image", [REQUIREMENTS.read_bytes(), str(SOURCE).encode()], _make)
    return folder / "bin" / "python"


def _make(folder: Path) -> None:
    call("making an environment", [sys.executable, "-m", "venv", "--without-pip", folder], folder)
    interpreter = folder / "bin" / "python"
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([interpreter, "-c", ask], capture_output=True, text=True, check=True)
    Path(found.stdout.strip(), "hotwhisk.pth").write_text(f"{SOURCE}\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", interpreter, *PIP]
    call("installing what an image has", [*pip, "-r", REQUIREMENTS], folder, environment())


PIP = ("--disable-pip-version-check", "--no-input", "install", "--quiet", "--only-binary", ":all:")


def environment() -> dict[str, str]:
    """Return variables for pip and compilers, without those that would change where they write."""
    return {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}


def include() -> Path:
    """Return the folder with the headers of this Python."""
    return Path(sysconfig.get_paths()["include"])
