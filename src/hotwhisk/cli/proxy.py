"""
Run ``hotwhisk proxy``: the entry point of an OpenWhisk image, where it is `/bin/proxy`.

The command takes the flags of ActionLoop, each with one dash: ``-version``, ``-debug``,
``-compile MAIN`` and ``-env JSON``. Without ``-version`` and ``-compile`` it serves as
``serve --openwhisk`` does, on every address and without a token. It passes all other options on to
``serve``. ``serve`` itself takes none of these flags, because a ``--debug`` that is meant for
another server must not open a port.
"""

from __future__ import annotations

import json
import platform
import sys
from typing import TYPE_CHECKING

import hotwhisk
from hotwhisk.actionloop.proxy_variables import PROXY_VERSION
from hotwhisk.errors import BuildFailed, HotwhiskError, UsageError

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

FLAGS = ("-version", "-debug", "-compile", "-env")
WITH_VALUE = ("-compile", "-env")
HELP = """\
usage: hotwhisk proxy [FLAG]... [OPTION]...

Serves as hotwhisk serve --openwhisk does: on every address, without a token, for a container.

  -debug         let a second /init replace the action
  -compile MAIN  compile the code on standard input to a zip on standard output
  -env JSON      variables for that compilation
  -version       print the version of the proxy whose rules are kept

Every option of hotwhisk serve is taken as well."""


def run(argv: Sequence[str], environ: MutableMapping[str, str]) -> int:
    """
    Carry out the flags, or serve.

    A failure of a flag is printed on standard error, with exit code 1.
    """
    if argv and argv[0] in ("-h", "--help"):
        print(HELP)
        return 0
    try:
        flags, rest = _split(argv)
        if "-version" in flags:
            print(
                f"OpenWhisk ActionLoop Proxy v{PROXY_VERSION}, built with "
                f"hotwhisk {hotwhisk.__version__} on Python {platform.python_version()}"
            )
            return 0
        if "-compile" in flags:
            return _compile(flags["-compile"], dict(environ) | _variables(flags.get("-env")))
        if "-env" in flags:
            raise UsageError("-env goes with -compile; a server's environment is its own")
    except HotwhiskError as error:
        print(error, file=sys.stderr)
        return 1
    if "-debug" in flags:
        environ["OW_DEBUG"] = "1"
    from hotwhisk.cli import serve

    return serve.run(["--openwhisk", *rest], environ)


def _split(argv: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return the flags with their values, and the other words."""
    flags: dict[str, str] = {}
    rest: list[str] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        flag, equals, value = word.partition("=")
        if word == "--":
            rest += [word, *words]
            break
        if flag not in FLAGS:
            rest.append(word)
            continue
        if flag in WITH_VALUE and not equals:
            if not words:
                raise UsageError(f"{flag} needs a value")
            value = words.pop(0)
        flags[flag] = value
    return flags, rest


def _compile(main: str, environ: dict[str, str]) -> int:
    """Read code from standard input, and write a zip to standard output."""
    from hotwhisk.build.actionloop_compile import compile_action

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
    """Return the environment in ``-env``, each value as text."""
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
