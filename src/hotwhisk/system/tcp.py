"""Read the kernel's counts of a TCP connection: bytes written to it, and bytes read from it."""

from __future__ import annotations

import _socket
from fcntl import ioctl
from struct import unpack, unpack_from
from termios import FIONREAD, TIOCOUTQ

_STATE = 0  # offset of tcpi_state in struct tcp_info
_BYTES_ACKED = 120  # of tcpi_bytes_acked (Linux 4.1)
_BYTES_RECEIVED = 128  # of tcpi_bytes_received (Linux 4.1)
_TCP_INFO_SIZE = 136
_ENDED = frozenset({7, 8, 9, 11})
"""States in which the peer's FIN has come: CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING."""


def bytes_written(descriptor: int) -> int:
    """Return how many bytes were ever written to a connection: acknowledged, or still queued."""
    connection = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM, 0, descriptor)
    try:
        return _steady(connection, _BYTES_ACKED, TIOCOUTQ, 1)
    finally:
        connection.detach()


def bytes_read(connection: _socket.socket) -> int:
    """Return how many bytes were ever read from a connection: received, and no longer queued."""
    return _steady(connection, _BYTES_RECEIVED, FIONREAD, -1)


def _steady(connection: _socket.socket, field: int, queue: int, sign: int) -> int:
    while True:
        counted = _counted(connection, field)
        queued = unpack("<i", ioctl(connection.fileno(), queue, bytes(4)))
        if _counted(connection, field) == counted:  # bytes may move between the looks
            return counted + sign * int(queued[0])


def _counted(connection: _socket.socket, field: int) -> int:
    info = connection.getsockopt(_socket.IPPROTO_TCP, _socket.TCP_INFO, _TCP_INFO_SIZE)
    count = int(unpack_from("<Q", info, field)[0])
    # The kernel counts a FIN as one byte received.
    return count - (field == _BYTES_RECEIVED and info[_STATE] in _ENDED)
