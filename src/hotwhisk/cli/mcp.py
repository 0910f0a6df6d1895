"""
Run ``serve --mcp``: a process beside the server lets agents call the action.

It is forked before the server has imported large modules, and ends with the server. So neither the
supervisor nor a worker does anything for it but answer: the supervisor which version is current,
and a worker the calls, which come as ``POST /run`` like all others.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
from importlib.util import find_spec

from hotwhisk.cli.watch import die_with, say
from hotwhisk.config.addresses import control_path, server_name
from hotwhisk.config.config import Config, default_run_dir
from hotwhisk.config.option import Address
from hotwhisk.config.options import is_loopback
from hotwhisk.errors import StartError, UsageError
from hotwhisk.system.descriptors import close_others

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

BACKLOG = 1024
LIBRARIES = ("starlette", "uvicorn")


def start_mcp(config: Config, environ: Mapping[str, str]) -> None:
    """
    Open the port for agents, and start the process that serves it.

    Raises:
        UsageError: a library is missing, the server follows the platform, or other machines could
            call without a token.
        StartError: the port cannot be opened.
    """
    if config.openwhisk:
        raise UsageError(
            "--mcp cannot be used with --openwhisk: agents find the actions of a platform at "
            "hotwhisk up; leave one of the two out"
        )
    for library in LIBRARIES:
        if find_spec(library) is None:
            raise UsageError(
                f"--mcp needs the library {library}: pip install '.[mcp]' in a clone of hotwhisk"
            )
    run_dir = os.path.abspath(config.run_dir or default_run_dir(environ, os.getuid()))
    control = control_path(run_dir, server_name(config.host, config.port))
    supervisor = os.getpid()
    with _listen(config.host, config.mcp_port) as listener:
        # Agents are told why a version does not load. So the token for code is not enough here.
        bound = listener.getsockname()[0]  # the resolver decides what a name is
        if not (config.token_file or is_loopback(bound)):
            raise UsageError(
                f"--mcp lets other machines call the action at {bound} without a token; give "
                "--token-file FILE, or listen on 127.0.0.1"
            )
        if not config.json_log:
            say(f"agents call the action at {_url(listener)} (Model Context Protocol)")
        if os.fork() == 0:
            _become_mcp(listener, config, control, supervisor)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise StartError(
            f"cannot listen on --mcp-port {port}: {error.strerror or error}; "
            "give another port, or 0 for any free one"
        ) from error


def _become_mcp(listener: socket.socket, config: Config, control: str, supervisor: int) -> NoReturn:
    try:
        gc.enable()  # off while the server starts
        close_others([listener.fileno()])  # closes the port of the server, above all
        # From a terminal: only the supervisor handles them.
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        # The server ends after its last answer, which is to be passed on.
        die_with(supervisor, b"hotwhisk:mcp", signal.SIGTERM)
        from hotwhisk.mcp.server import serve

        serve(listener, config, control)
    except BaseException as error:  # noqa: BLE001 - the top of a process
        say(f"--mcp ended: {type(error).__name__}: {error}")
        os._exit(1)
    os._exit(0)


def _url(listener: socket.socket) -> str:
    """Return the address that agents are given."""
    host, port = listener.getsockname()[:2]
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    return f"http://{Address(host, port)}/mcp"
