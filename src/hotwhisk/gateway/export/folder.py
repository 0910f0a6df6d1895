"""Write the files of an export, which only their owner can read."""

from __future__ import annotations

import base64
import json
import os
from typing import Final

from hotwhisk.platform import is_base64

_ZIP: Final = b"PK"


class Folder:
    """A folder that is made for its owner alone. Paths are relative to it."""

    def __init__(self, path: str) -> None:
        self._path = path
        os.makedirs(path, mode=0o700, exist_ok=True)

    def write(self, path: str, content: str | bytes, *, mode: int = 0o600) -> str:
        """Write a file, and return its path."""
        target = os.path.join(self._path, path)
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        with open(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
            file.write(data)
        return path

    def write_json(self, path: str, value: object) -> str:
        """Write a JSON file, and return its path."""
        return self.write(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def write_code(self, path: str, kind: str, code: str) -> str:
        """
        Write the code of an action, and return the path with a suffix.

        ``wsk`` sends a ``.zip`` or a ``.bin`` as base64, and other files as text.
        """
        if not is_base64(code):
            return self.write(path + (".py" if kind.startswith("python") else ".sh"), code)
        content = base64.b64decode(code)
        return self.write(path + (".zip" if content.startswith(_ZIP) else ".bin"), content)
