"""
Read the files of ``--token-file`` and ``--replace-token-file``, at the start and when they change.

The content is compared, not the date of the file: to read a line costs no more than to ask for its
date, and two writes within one tick of the kernel's clock have the same date.
"""

from __future__ import annotations

import os
import stat

from hotwhisk.config.tokens import Tokens, digest, parse_token
from hotwhisk.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.config.config import Config

LONGEST = 65536
"""Most bytes of a file that are read again. A longer one holds no token."""


def read_token(path: str, option: str = "--token-file") -> str:
    """
    Return the token in a file, which may also be a pipe.

    Raises:
        UsageError: the file cannot be read, or holds no token.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{option} {path}: {_reason(error)}") from None
    return parse_token(content, path)


def read_tokens(config: Config) -> Tokens:
    """
    Return the tokens of a server that starts.

    Raises:
        UsageError: a file cannot be read, or holds no token.
    """
    call = replace = b""
    if config.token_file:
        call = replace = digest(read_token(config.token_file))
    if config.replace_token_file:
        replace = digest(read_token(config.replace_token_file, "--replace-token-file"))
    return Tokens(call, replace)


class TokenFiles:
    """The token files of a server that runs."""

    def __init__(self, config: Config) -> None:
        self.problem = ""
        """What is wrong with a file, so that its token stays; empty if nothing is."""
        self._call = config.token_file or ""
        self._replace = config.replace_token_file or ""

    @property
    def any(self) -> bool:
        """Return whether there is a file."""
        return bool(self._call or self._replace)

    def read_again(self, before: Tokens) -> Tokens:
        """Return what the files hold now; for a file without a token, that of ``before``."""
        self.problem = ""
        call = self._read(self._call, before.call)
        replace = self._read(self._replace, before.replace) if self._replace else call
        return Tokens(call, replace)

    def _read(self, path: str, before: bytes) -> bytes:
        if not path:
            return before
        try:
            content = _content(path)
            return before if content is None else digest(parse_token(content, path))
        except (OSError, UnicodeDecodeError) as error:
            self.problem = f"{path}: {_reason(error)}"
        except UsageError as error:
            self.problem = str(error)
        return before


def _content(path: str) -> str | None:
    """Return what a file holds, without waiting; None for a pipe, which can be read once only."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return os.read(descriptor, LONGEST).decode()
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
