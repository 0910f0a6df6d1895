"""Read a file of variables, as ``docker run --env-file`` and python-dotenv take them."""

from __future__ import annotations

import re
from typing import Final

from hotwhisk.errors import UsageError

_LINE: Final = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>.*)")
_QUOTED: Final = re.compile(r"""(?P<quote>["'])(?P<value>.*)(?P=quote)\s*(?:#.*)?""")
_ESCAPES: Final = {r"\n": "\n", r"\t": "\t", r"\"": '"', r"\\": "\\"}


def read_env_file(path: str) -> dict[str, str]:
    """
    Return the variables of a file with lines such as ``NAME=value``.

    A value may stand in quotes. Empty lines and lines that begin with ``#`` are left out.

    Raises:
        UsageError: the file cannot be read, or a line is something else.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text in UTF-8"
        raise UsageError(f"--env-file {path} cannot be read: {reason}; give another file") from None
    variables = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        found = _LINE.fullmatch(text)
        if found is None:
            raise UsageError(f"--env-file {path}, line {number}: expected NAME=value")
        variables[found["name"]] = _value(found["value"])
    return variables


def _value(text: str) -> str:
    quoted = _QUOTED.fullmatch(text)
    if quoted is None:
        return re.split(r"\s+#", text, maxsplit=1)[0].strip()
    if quoted["quote"] == "'":
        return quoted["value"]
    return re.sub(r"\\[nt\"\\]", lambda each: _ESCAPES[each[0]], quoted["value"])
