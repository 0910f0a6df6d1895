"""
``hotwhisk serve``: open the port first, then do everything else.

Until the port is open, this module imports only the table of options and `_socket`. From then on
callers wait instead of being refused.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` would be half the way to the port
import gc
import os
import sys

from hotwhisk.config.options import TERMINATION_LOG, Found, address, require_loopback, scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import MutableMapping, Sequence

    from hotwhisk.config.config import Config

USAGE = "usage: hotwhisk serve [OPTION]... [FILE]"
CONTAINER = """\
hotwhisk serve needs Linux. With Docker, on this machine:

  head -c 24 /dev/urandom | base64 > .hotwhisk-token
  hotwhisk build {file} -o action --python 3.13
  docker run --rm -it -p 127.0.0.1:8080:8080 -v "$PWD":/action -w /action python:3.13-slim \\
    ./action --host 0.0.0.0 --token-file .hotwhisk-token

hotwhisk replace --token-file .hotwhisk-token FILE, invoke and build work from here."""


def run(argv: Sequence[str], environ: MutableMapping[str, str]) -> int:
    """Serve until a signal or a command stops the server; return the exit code."""
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        from hotwhisk.cli.terminal import open_streams

        open_streams()
    try:
        found = scan(argv, environ)
    except Exception as error:
        _write_termination_log(environ.get("HOTWHISK_TERMINATION_LOG") or TERMINATION_LOG, error)
        raise
    if found.show:
        return _show(found, argv, environ)
    if not sys.platform.startswith("linux"):
        print(CONTAINER.format(file=found.file or "FILE"), file=sys.stderr)
        return 1
    # Signals wait from before the port opens until the server obeys or ignores them. So a client
    # that has connected by then gets an answer. For process 1 the signals would otherwise be lost.
    before = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
    try:
        return _serve(found, argv, environ)
    except Exception as error:
        _write_termination_log(str(found.value("termination_log") or ""), error)
        raise
    finally:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, before)


def _write_termination_log(path: str, error: Exception) -> None:
    from hotwhisk.server.notify import write_termination_log

    write_termination_log(path, f"{type(error).__name__}: {error}")


def _serve(found: Found, argv: Sequence[str], environ: MutableMapping[str, str]) -> int:
    listener, inherited = _listener(found, environ)
    changes = None
    try:
        if found.value("watch"):
            from hotwhisk.cli.watch import start_watcher

            changes = start_watcher(found.file)
        gc.disable()  # imports stay in memory: collection would take a tenth of the time
        config = _configure(argv, environ, listener, inherited=inherited)
        if config.mcp:
            from hotwhisk.cli.mcp import start_mcp

            start_mcp(config, environ)
        from hotwhisk.server.server import serve

        if changes is not None:
            from hotwhisk.cli.watch import wait_begun

            wait_begun(changes)
        gc.freeze()
        gc.enable()
        code = serve(config, listener, changes)
    except BaseException:
        # The port closes with the process, after the error is printed: a client that meets a closed
        # port then finds the reason in the log.
        listener.detach()
        raise
    listener.close()
    return code


def _listener(found: Found, environ: MutableMapping[str, str]) -> tuple[_socket.socket, bool]:
    from hotwhisk.server.listener import inherited_listener, open_listener

    if "LISTEN_FDS" in environ:
        listener = inherited_listener(environ, os.getpid())
        if listener is not None:
            return listener, True
    return open_listener(*address(found)), False


def _configure(
    argv: Sequence[str],
    environ: MutableMapping[str, str],
    listener: _socket.socket,
    *,
    inherited: bool,
) -> Config:
    from hotwhisk.cli.files import require_file
    from hotwhisk.config.config import read_config, with_port, with_tokens
    from hotwhisk.server.listener import bound_address

    bound = bound_address(listener)
    config = read_config(argv, environ, bound=bound if inherited else None)
    if not (config.may_leave_loopback or config.takes_no_code):
        require_loopback(bound[0])  # the resolver decides which address "localhost" is
    config = with_port(config, bound[1])
    if not (config.openwhisk or config.json_log):  # the server logs them, or prints nothing
        for warning in config.warnings:
            print(f"hotwhisk: {warning}", file=sys.stderr)
    if config.has_token_file:
        from hotwhisk.access.token_files import read_tokens

        config = with_tokens(config, read_tokens(config))
    if config.file is not None:
        require_file(config.file)
    return config


def _show(found: Found, argv: Sequence[str], environ: MutableMapping[str, str]) -> int:
    from hotwhisk.config.help import explain_config, serve_help

    if "help" in found.show:
        print(f"{USAGE}\n\n{serve_help()}")
        print("  --show-config            print the values in effect and where each is from")
        print("\nevery option is also a variable: --init-timeout is HOTWHISK_INIT_TIMEOUT")
    else:
        print(explain_config(argv, environ))
    return 0
