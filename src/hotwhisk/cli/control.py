"""Send a question to a running server's control socket: one line of JSON there, one line back."""

from __future__ import annotations

import json
import os
import socket
from contextlib import closing
from typing import TYPE_CHECKING

from hotwhisk.cli.client import gateway_at
from hotwhisk.cli.locate import describe_servers, only_server, port_of, run_folder, server_names
from hotwhisk.cli.terminal import port_number
from hotwhisk.config.addresses import CONTROL_VERSION, client_port, control_path, server_name
from hotwhisk.errors import ServerError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from pathlib import Path

TIMEOUT = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the server."""
    parser.add_argument("--host", metavar="ADDRESS", help="its address, if several have the port")
    parser.add_argument(
        "--port",
        type=port_number,
        metavar="PORT",
        help="port of the server (8080 or PORT, else that of the only one)",
    )
    parser.add_argument("--run-dir", metavar="FOLDER", help="its --run-dir, if it has one")


def ask(
    question: str, given: argparse.Namespace, environ: Mapping[str, str], **more: object
) -> dict[str, object]:
    """
    Send a question to the server that the arguments name, with ``more`` members.

    Raises:
        ServerError: there is no such server, or it refuses.
    """
    uid = os.getuid()
    folder = run_folder(given.run_dir, environ)
    name = only_server(folder, given.port, environ) if given.host is None else None
    port = client_port(environ) if given.port is None else given.port
    path = control_path(str(folder), name or _name_of(folder, given.host, port))
    line = json.dumps({"version": CONTROL_VERSION, "ask": question, **more}).encode() + b"\n"
    try:
        if uid != 0 and folder.stat().st_uid not in (uid, 0):
            raise ServerError(f"{folder} belongs to another user; give --run-dir FOLDER")
        received = _exchange(path, line)
    except (FileNotFoundError, ConnectionRefusedError):
        raise ServerError(_no_server_text(folder, port)) from None
    except OSError as error:
        raise ServerError(f"{path}: {error.strerror or error}") from None
    return _read(received, path)


def _name_of(folder: Path, host: str | None, port: int) -> str:
    """Return the name of the server with that port; without an address, the only such server."""
    plain = server_name(host or "", port)
    if host or (folder / f"{plain}.sock").exists():
        return plain
    found = [name for name in server_names(folder) if port_of(name) == port]
    if len(found) > 1:
        hosts = ", ".join(name.partition("@")[2] for name in found)
        raise ServerError(f"several servers have port {port}; give --host and one of: {hosts}")
    return found[0] if found else plain


def _exchange(path: str, line: bytes) -> bytes:
    chunks = []
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect(path)
        connection.sendall(line)
        while chunk := connection.recv(65536):
            chunks.append(chunk)
    return b"".join(chunks)


def _read(received: bytes, path: str) -> dict[str, object]:
    try:
        answer = json.loads(received)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ServerError(f"{path}: expected one line of JSON, got {received[:60]!r}")
    if answer.get("version", CONTROL_VERSION) != CONTROL_VERSION:
        raise ServerError(
            f"the server speaks version {answer['version']} of the control protocol, "
            f"this command version {CONTROL_VERSION}; use the hotwhisk that serves"
        )
    if "error" in answer:
        raise ServerError(str(answer["error"]))
    return answer


def _no_server_text(folder: Path, port: int) -> str:
    if text := gateway_at(f"http://127.0.0.1:{port}"):
        return text
    others = [name for name in server_names(folder) if name != str(port)]
    same = any(port_of(name) == port for name in others)
    hint = f"; there is one {describe_servers(others)}: give {'--host' if same else '--port'}"
    if not others:
        hint = "; start one with: hotwhisk serve FILE"
    return f"no server of yours on port {port} (looked in {folder}){hint}"
