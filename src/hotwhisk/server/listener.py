"""
Open the port before large modules are imported, or inherit it from systemd.

Only `_socket` is used, the C half of the standard module. The Python half with its enumerations
takes longer to import than everything else on the way to an open port. Some options, such as
TCP_NODELAY, are inherited by accepted connections on Linux. They are set here on the listener.
"""

from __future__ import annotations

import _socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from typing import NoReturn

BACKLOG = 4096  # the kernel lowers it to net.core.somaxconn
FIRST_INHERITED = 3  # sd_listen_fds(3)
LISTEN = "0A"  # the state in /proc/net/tcp


def open_listener(host: str, port: int) -> _socket.socket:
    """
    Bind and listen.

    Raises:
        StartError: the address is not available.
    """
    family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
    try:
        listener = _socket.socket(family, _socket.SOCK_STREAM)  # PEP 446: close-on-exec
    except OSError as error:
        _refuse(host, port, error)
    try:
        listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        if host == "::":
            listener.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 0)
        listener.bind((host, port))
        _prepare(listener)
    except OSError as error:
        listener.close()
        _refuse(host, port, error)
    return listener


def inherited_listener(environ: MutableMapping[str, str], pid: int) -> _socket.socket | None:
    """
    Return the listener that systemd opened for this process, or None, as in sd_listen_fds(3).

    The variables are removed from the environment, so that no child process uses them.
    """
    count = environ.pop("LISTEN_FDS", "")
    meant_for = environ.pop("LISTEN_PID", "")
    environ.pop("LISTEN_FDNAMES", None)
    if not count or meant_for != str(pid):
        return None
    if count != "1":
        _refuse_inherited(f"expected one socket, got LISTEN_FDS={count}")
    try:
        listener = _socket.socket(fileno=FIRST_INHERITED)
        listening = listener.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN)
    except OSError as error:
        _refuse_inherited(f"descriptor {FIRST_INHERITED} is no socket: {error}")
    if listener.family not in (_socket.AF_INET, _socket.AF_INET6) or not listening:
        listener.detach()
        _refuse_inherited("expected a TCP socket that listens (ListenStream=PORT)")
    import os

    os.set_inheritable(FIRST_INHERITED, False)
    _prepare(listener)
    return listener


def bound_address(listener: _socket.socket) -> tuple[str, int]:
    """Return the host and the port to which a listener is really bound."""
    host, port = listener.getsockname()[:2]
    return str(host), int(port)


def _prepare(listener: _socket.socket) -> None:
    listener.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    listener.setblocking(False)
    listener.listen(BACKLOG)


def _refuse(host: str, port: int, error: OSError) -> NoReturn:
    from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL, EPERM

    from hotwhisk.errors import StartError

    if error.errno == EADDRINUSE:
        raise StartError(_taken(port)) from None
    if error.errno in (EACCES, EPERM):
        raise StartError(
            f"port {port} is not permitted for this user; ports below 1024 are reserved: "
            "try --port 8080"
        ) from None
    if error.errno == EADDRNOTAVAIL or isinstance(error, _socket.gaierror):
        raise StartError(f'"{host}" is no address of this machine; try --host 127.0.0.1') from None
    raise StartError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error


def _taken(port: int) -> str:
    """Say what to do about a port that a server, or the connection of a client, already uses."""
    ends = list(_ends(port))
    if not ends or any(state == LISTEN for state, _ in ends):
        return f"port {port} is taken; stop what listens there, or try --port 0 for any free port"
    peers = ", ".join(sorted({f"port {peer}" for _, peer in ends}))
    return (
        f"port {port} is taken, but nothing listens there: it is this machine's end of a connection "
        f"to {peers}, and free again when that ends; try again then, or --port 0 for any free port"
    )


def _ends(port: int) -> Iterator[tuple[str, int]]:
    """
    Yield this machine's TCP sockets with a local port.

    Each is given as its state and the port of its peer.
    """
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table) as file:
                lines = file.readlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, peer, state = line.split()[:4]
            if int(local.rpartition(":")[2], 16) == port:
                yield state, int(peer.rpartition(":")[2], 16)


def _refuse_inherited(message: str) -> NoReturn:
    from hotwhisk.errors import StartError

    raise StartError(f"the socket that systemd passed cannot be used: {message}")
