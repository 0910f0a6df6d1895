"""
Describe the tokens that requests must carry.

Pure. Only the digests of tokens are kept, because the action is in the same process as the code
that checks them, and could find a token in its memory.
"""

from __future__ import annotations

from hotwhisk.digest import sha256
from hotwhisk.errors import UsageError
from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class Tokens(Record):
    """
    The digests of the tokens of a server.

    A request to ``/run`` must carry the token ``call``, or the stronger one. One to ``/init`` must
    carry the token ``replace``; both are the same if the server has one token. An empty digest
    means that no token is needed.
    """

    call: bytes = b""
    replace: bytes = b""

    @classmethod
    def from_hex(cls, call: str, replace: str) -> Self:
        """Return the tokens that `hex` returned as texts."""
        return cls(bytes.fromhex(call), bytes.fromhex(replace))

    def hex(self) -> tuple[str, str]:
        """Return ``call`` and ``replace`` in hexadecimal."""
        return self.call.hex(), self.replace.hex()


def digest(token: str) -> bytes:
    """Return the digest of a token, which is kept in its place."""
    return sha256(token.encode())


def parse_token(content: str, path: str) -> str:
    """
    Return the token in the content of the file ``path``, without the space around it.

    Raises:
        UsageError: the file holds none, or more than one.
    """
    token = content.strip()
    if not token or not token.isascii() or len(token.split()) != 1:
        raise UsageError(f"{path}: expected one line with a token of printable ASCII, no spaces")
    return token
