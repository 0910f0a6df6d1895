"""Asking a running server on its control socket: one JSON line there, one back."""

from __future__ import annotations

import json
import os
import socket
import stat
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from hotwhisk.cli.terminal import port_number
from hotwhisk.config import client_port, client_setting, default_run_dir
from hotwhisk.errors import ServerError
from hotwhisk.places import control_path, place_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

VERSION = 1
TIMEOUT = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that say which server is meant."""
    parser.add_argument("--host", metavar="ADDRESS", help="its address, if several have the port")
    parser.add_argument(
        "--port", type=port_number, metavar="PORT", help="port of the server (8080, or PORT)"
    )
    parser.add_argument("--run-dir", metavar="FOLDER", help="its --run-dir, if it has one")


def ask(question: str, given: argparse.Namespace, environ: Mapping[str, str]) -> dict[str, object]:
    """Ask the server that the arguments mean; no server, or its refusal, is a ServerError."""
    uid = os.getuid()
    default = client_setting("run_dir", environ) or default_run_dir(environ, uid)
    folder = Path(given.run_dir or default)
    port = client_port(environ) if given.port is None else given.port
    path = control_path(str(folder), _place(folder, given.host, port))
    line = json.dumps({"version": VERSION, "ask": question}).encode() + b"\n"
    try:
        if uid != 0 and folder.stat().st_uid not in (uid, 0):
            raise ServerError(f"{folder} belongs to another user; give --run-dir FOLDER")
        reply = _exchange(path, line)
    except (FileNotFoundError, ConnectionRefusedError):
        raise ServerError(_nobody(folder, port)) from None
    except OSError as error:
        raise ServerError(f"{path}: {error.strerror or error}") from None
    return _read(reply, path)


def _place(folder: Path, host: str | None, port: int) -> str:
    """What the server of that port is called in the folder; without an address, the only one."""
    plain = place_of(host or "", port)
    if host or (folder / f"{plain}.sock").exists():
        return plain
    found = [name for name in _places(folder) if name.startswith(f"{port}@")]
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


def _read(reply: bytes, path: str) -> dict[str, object]:
    try:
        answer = json.loads(reply)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ServerError(f"{path}: expected one line of JSON, got {reply[:60]!r}")
    if answer.get("version", VERSION) != VERSION:
        raise ServerError(
            f"the server speaks version {answer['version']} of the control protocol, "
            f"this command version {VERSION}; use the hotwhisk that serves"
        )
    if "error" in answer:
        raise ServerError(str(answer["error"]))
    return answer


def _nobody(folder: Path, port: int) -> str:
    others = [name for name in _places(folder) if name != str(port)]
    shown = ", ".join(" of ".join(name.split("@")) for name in others)
    flag = "--host" if any(name.startswith(f"{port}@") for name in others) else "--port"
    hint = f"; there is one on port {shown}: give {flag}" if others else ""
    return f"no server of yours on port {port} (looked in {folder}){hint}"


def _places(folder: Path) -> list[str]:
    """What the servers are called that listen in a folder."""
    try:
        found = [path for path in folder.glob("*.sock") if stat.S_ISSOCK(path.stat().st_mode)]
    except OSError:
        return []
    return sorted(path.name.removesuffix(".sock") for path in found if _listens(path))


def _listens(path: Path) -> bool:
    """Whether a server is behind that socket, and not only what a killed one left."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True
