"""Run ``hotwhisk dev``: serve the actions of a folder, and replace each when its files change."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hotwhisk.artifact.kinds import DEFAULT_HANDLER
from hotwhisk.cli.invoke import add_parameters, parameters_of
from hotwhisk.cli.terminal import Arguments, open_streams, port_number
from hotwhisk.errors import StartError, UsageError
from hotwhisk.gateway.data_folder import running_address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hotwhisk.gateway.dev.dev import DevSettings
    from hotwhisk.gateway.dev.project import Project

DEBUG_PORT = 5678  # that of debugpy's documents
PORTS_TRIED = 20
DRAIN_SECONDS = 0.2
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
"""The variables that say that there is a browser; one in the terminal would take it over."""


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Serve the actions at PATH until a signal comes; return the exit code."""
    open_streams()
    given = parser().parse(argv)
    try:
        from hotwhisk.gateway.dev.dev import DevServer, data_of
    except ModuleNotFoundError as error:
        if str(error.name).startswith("hotwhisk"):
            raise
        raise UsageError(
            f"hotwhisk dev needs the library {error.name}: pip install '.[up]' in a clone of "
            "hotwhisk"
        ) from None
    from hotwhisk.gateway.dev.project import open_project
    from hotwhisk.gateway.dev.terminal import Terminal
    from hotwhisk.gateway.log import NOTICE
    from hotwhisk.gateway.settings import DEFAULT_PORT, Settings

    project = open_project(given.path)
    data = given.data or data_of(project, environ)
    _check_free(project, data, given.data)
    colour = sys.stderr.isatty() and not environ.get("NO_COLOR")
    settings = Settings(
        data,
        port=DEFAULT_PORT if given.port is None else given.port,
        ports_tried=PORTS_TRIED if given.port is None else 1,
        drain_timeout=DRAIN_SECONDS,
        log_level=NOTICE,  # the terminal shows what happens
    )
    dev = DevServer(_settings(given, project, environ), Terminal(sys.stderr, colour=colour))
    return dev.serve(settings, environ)


def parser() -> Arguments:
    """Return the parser of this command's arguments."""
    arguments = Arguments("dev", "PATH [OPTION]...")
    arguments.add_argument(
        "path", metavar="PATH",
        help="a .py file, a folder with __main__.py, or one with packages/PACKAGE/ACTION.py",
    )  # fmt: skip
    add_parameters(arguments)
    flags: dict[str, str] = {
        "--web": "make the actions web actions, and answer /ACTION without a key",
        "--replay": "after each save, call with the last events again and show what changed",
        "--debug": "let an editor attach its debugger; debugpy must be installed",
        "--no-open": "do not open the page in the browser",
    }
    arguments.add_argument(
        "--env-file", metavar="FILE", default="",
        help="variables of the actions, one NAME=value a line; watched like a source",
    )  # fmt: skip
    arguments.add_argument(
        "--main", metavar="NAME", default=DEFAULT_HANDLER, help="the handler's name (main)"
    )
    for flag, text in flags.items():
        arguments.add_argument(flag, action="store_true", help=text)
    arguments.add_argument(
        "--debug-port", type=port_number, default=DEBUG_PORT, metavar="PORT",
        help=f"the port of --debug ({DEBUG_PORT})",
    )  # fmt: skip
    arguments.add_argument(
        "--allow-origin", action="append", type=_origin, default=[], metavar="URL",
        help="let pages of this origin call, such as http://localhost:5173",
    )  # fmt: skip
    arguments.add_argument(
        "--port", type=port_number, metavar="PORT",
        help="port to listen on (3233, or the next one that is free)",
    )  # fmt: skip
    arguments.add_argument(
        "--data", metavar="FOLDER",
        help="folder of the database (one for each PATH, below $XDG_DATA_HOME/hotwhisk/dev)",
    )  # fmt: skip
    return arguments


def _origin(text: str) -> str:
    """Return an origin as browsers send it, for argparse."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path not in ("", "/"):
        expected = "scheme, host and port, such as http://localhost:5173"
        raise argparse.ArgumentTypeError(f'expected {expected}, got "{text}"')
    return f"{parts.scheme}://{parts.netloc}".lower()


def _check_free(project: Project, data: str, given: str | None) -> None:
    """
    Refuse a project that another start of this command serves.

    Raises:
        StartError: the text says where.
    """
    address = None if given else running_address(data)
    if address is not None:
        raise StartError(
            f"{project.path} is served by hotwhisk dev already, on {address}: use that one, or "
            "stop it"
        )


def _settings(
    given: argparse.Namespace, project: Project, environ: Mapping[str, str]
) -> DevSettings:
    from hotwhisk.gateway.dev.dev import DevSettings

    parameters = parameters_of(given.given)
    if not isinstance(parameters, dict):
        raise UsageError("-P: default parameters must be a JSON object, not an array")
    has_display = any(environ.get(name) for name in DISPLAYS)
    return DevSettings(
        project,
        parameters,
        _env_file(given.env_file),
        main=given.main,
        web=given.web,
        replay=given.replay,
        debug_port=_debug_port(given, project),
        allowed_origins=tuple(given.allow_origin),
        terminal=_terminal(),
        opens_page=has_display and not given.no_open,
    )


def _terminal() -> str:
    """Return the path of the terminal that the user types at, or an empty text."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return ""
    return os.ttyname(sys.stdin.fileno())


def _env_file(name: str) -> str:
    """Return the path of a file of variables, which is read now for its mistakes."""
    from hotwhisk.gateway.dev.env_file import read_env_file

    if name:
        read_env_file(name)
    return os.path.abspath(name) if name else ""


def _debug_port(given: argparse.Namespace, project: Project) -> int | None:
    """Return the port for a debugger; None without ``--debug``."""
    from importlib.util import find_spec

    if not given.debug:
        return None
    if find_spec("debugpy") is None:
        raise UsageError("--debug needs debugpy: pip install debugpy")
    actions = project.sources()
    if len(actions) > 1:
        raise UsageError(
            f"--debug is for one action, and {project.path} holds {len(actions)}; give the path of "
            f"one of them, such as {actions[0].path}"
        )
    port: int = given.debug_port
    return port
