"""
The flags of the entry point of OpenWhisk's images.

``hotwhisk -version``, ``-debug``, ``-compile MAIN`` and ``-env JSON``, alone or after
``serve [OPTION]...``, so that an image whose entry point is ``hotwhisk serve --openwhisk``
understands them as well. Without ``-version`` and ``-compile`` it serves, as ``serve
--openwhisk`` does.
"""

from __future__ import annotations

import json
import platform
import sys
from typing import TYPE_CHECKING

import hotwhisk
from hotwhisk.actionloop.actionloop import PROXY_VERSION
from hotwhisk.cli import PROXY_FLAGS
from hotwhisk.errors import BuildFailed, HotwhiskError, UsageError

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

WITH_VALUE = ("compile", "env")


def run(argv: Sequence[str], environ: MutableMapping[str, str]) -> int:
    """Do what the flags say; a failure is told on standard error and ends with 1."""
    try:
        flags, rest = _split(argv)
        if "version" in flags:
            print(
                f"OpenWhisk ActionLoop Proxy v{PROXY_VERSION}, built with "
                f"hotwhisk {hotwhisk.__version__} on Python {platform.python_version()}"
            )
            return 0
        if "compile" in flags:
            return _compile(flags["compile"], dict(environ) | _variables(flags.get("env")))
        if "env" in flags:
            raise UsageError("-env goes with -compile; a server's environment is its own")
        environ["OW_DEBUG"] = "1"
    except HotwhiskError as error:
        print(error, file=sys.stderr)
        return 1
    from hotwhisk.cli import serve

    return serve.run(rest if "--openwhisk" in rest else ["--openwhisk", *rest], environ)


def _split(argv: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The flags of the proxy with their values, and the other words."""
    flags: dict[str, str] = {}
    rest: list[str] = []
    words = list(argv[1:] if argv[:1] == ["serve"] else argv)
    while words:
        word = words.pop(0)
        flag, equals, value = word.partition("=")
        if word == "--":
            rest += [word, *words]
            break
        if flag not in PROXY_FLAGS:
            rest.append(word)
            continue
        name = flag.lstrip("-")
        if name in WITH_VALUE and not equals:
            if not words:
                raise UsageError(f"-{name} needs a value")
            value = words.pop(0)
        flags[name] = value
    return flags, rest


def _compile(main: str, environ: dict[str, str]) -> int:
    """Code from standard input, a zip to standard output."""
    from hotwhisk.build.official import compile_action

    content = sys.stdin.buffer.read()
    if not content:
        raise UsageError("-compile reads the code from standard input, and there is none")
    try:
        compiled = compile_action(content, main or "main", environ)
    except OSError as error:
        raise BuildFailed(
            f"-compile needs a folder to work in, and that fails: {error}; "
            "give it a writable /tmp with room, or name another folder by TMPDIR"
        ) from error
    sys.stdout.buffer.write(compiled)
    sys.stdout.buffer.flush()
    return 0


def _variables(text: str | None) -> dict[str, str]:
    """The environment in ``-env``, each value as text."""
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(f"-env is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise UsageError("-env must be a JSON object")
    return {
        name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for name, value in found.items()
    }
