"""
``hotwhisk-conformance``: run the cases as one command, without other plugins that are
installed.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from hotwhisk_conformance import __version__
from hotwhisk_conformance.flavours import PROFILES

_DESCRIPTION = """\
Test whether a server is an action runtime of Apache OpenWhisk. Each case starts it afresh.
The exit code is 0 if no case failed, 1 if one did, 2 if they could not be tried.
"""
_TEXTS = {
    "compile-command": "compiles an archive from stdin to stdout, for V1 to V3 with --command; "
    "{main} in it is the entry point",
    "restart-command": "restarts the server at --url before each case",
    "engine": "container engine with docker's command line (docker)",
    "requirement": "what V1 to V3 install: PACKAGE[:MODULE] (user-agents:user_agents)",
    "example": "image or command with the platform's example baked in, for E1 to E3",
    "badaction": "image or command whose action sleeps or exits, for E4 to E7",
    "badproxy": "image or command that serves nothing, for E8",
    "timeout": "seconds for one answer (30)",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cases; return the exit code."""
    parser = _parser()
    given = parser.parse_args(argv)  # an unknown option is reported before a missing one
    if given.image is given.url is given.command is None:
        parser.error("give one of --image, --url and --command")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    import pytest  # after the variable, so that no other plugin is loaded

    with tempfile.TemporaryDirectory(prefix="hotwhisk-conformance-") as folder:
        # An empty configuration of our own, so that none is searched in the folders above.
        empty = Path(folder, "pytest.ini")
        empty.write_text("[pytest]\n", encoding="utf-8")
        arguments = ["-c", str(empty), "--rootdir", folder, "-p", "no:cacheprovider"]
        arguments += ["-p", "hotwhisk_conformance.plugin", "--no-header", "-q", "--tb=short"]
        code = pytest.main([*arguments, "--pyargs", "hotwhisk_conformance.cases", *_rest(given)])
    return int(code) if code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) else 2


def _rest(given: argparse.Namespace) -> list[str]:
    arguments = ["--disable-warnings", "--no-summary"] if not given.verbose else ["-v"]
    for name in ("image", "url", "command", *_TEXTS):
        value = getattr(given, name.replace("-", "_"))
        if value is not None:
            arguments.append(f"--conformance-{name}={value}")
    arguments += [f"--conformance-profile={each}" for each in given.profile or ()]
    if given.go:
        arguments.append("--conformance-go")
    if given.junit:
        arguments.append(f"--junitxml={Path(given.junit).absolute()}")
    if given.cases:
        arguments.append(f"-k={given.cases}")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "hotwhisk-conformance", description=_DESCRIPTION, allow_abbrev=False
    )
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--image", help="an image to run in a container")
    target.add_argument(
        "--url", type=_url, help="a server that runs already; its streams are not checked"
    )
    target.add_argument(
        "--command",
        type=_command,
        help="a command that starts it; {port} in it is the port, also in PORT",
    )
    parser.add_argument(
        "--profile", action="append", choices=PROFILES, help="which cases (python); repeatable"
    )
    parser.add_argument("--junit", metavar="FILE", help="write the results as JUnit XML")
    parser.add_argument("--cases", metavar="EXPR", help='only some: "b4 or p3" (as pytest -k)')
    parser.add_argument(
        "--go", action="store_true", help="the runtime compiles Go: G4 to G12, and B1 to B10 in Go"
    )
    parser.add_argument("--verbose", action="store_true", help="all that pytest has to say")
    parser.add_argument("--version", action="version", version=__version__)
    for name, text in _TEXTS.items():
        parser.add_argument(f"--{name}", type=_READERS.get(name, str), help=text)
    return parser


def _command(text: str) -> str:
    """
    Return a command if its program exists; otherwise each case would fail because it is
    missing.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no command: {error}") from None
    if not words:
        raise argparse.ArgumentTypeError("the command is empty")
    return text


def _seconds(text: str) -> str:
    try:
        if 0 < float(text) <= 86_400:
            return text
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(
        f"{text!r}: expected a number of seconds above 0, a day at most"
    )


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        if parts.scheme == "http" and parts.hostname and parts.port != 0:
            return text
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r}: expected a URL as http://127.0.0.1:8080")


_READERS: dict[str, Callable[[str], str]] = {
    "compile-command": _command,
    "restart-command": _command,
    "timeout": _seconds,
}


if __name__ == "__main__":
    sys.exit(main())
