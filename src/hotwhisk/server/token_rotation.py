"""
Notice that a token file has changed, and tell every worker.

The supervisor reads the files itself, and waits for them; docs/decisions.md says why. It reads them
twice a second and on SIGHUP, never for a request.
"""

from __future__ import annotations

from hotwhisk.access.token_files import TokenFiles
from hotwhisk.config.config import with_tokens
from hotwhisk.ipc.messages import SetTokens
from hotwhisk.supervisor.log_events import LogEvent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.config.config import Config
    from hotwhisk.config.tokens import Tokens
    from hotwhisk.supervisor.parts import Parts

EVERY = 0.5
"""Seconds between two looks at the files, also while the server is idle."""


class TokenRotation:
    """
    The tokens of a running server.

    A worker that is given an unknown token reads the files by itself, so a new token is good at
    once. This class sees to it that the old one is refused everywhere, within `EVERY` seconds.
    """

    def __init__(self, config: Config, parts: Parts) -> None:
        self._files = TokenFiles(config)
        self._tokens = config.tokens
        self._parts = parts
        self._next = parts.system.now() + EVERY
        self._problem = ""
        self._logged = ""

    @property
    def pause(self) -> float | None:
        """Return how long an idle server may sleep; None if it has no token file."""
        return EVERY if self._files.any else None

    def check(self, now: float) -> None:
        """Read the files if it is time to."""
        if self._files.any and now >= self._next:
            self._next = now + EVERY
            self.read_again()
            self._log_problem()

    def read_again(self) -> None:
        """Read the files, and tell the workers if a token has changed."""
        before, self._tokens = self._tokens, self._files.read_again(self._tokens)
        if self._tokens != before:
            text = "a token was replaced; the one before is refused from now on"
            self._parts.log(text, LogEvent.TOKEN)
            self._tell(self._tokens)

    def _tell(self, tokens: Tokens) -> None:
        """
        Tell every worker. One that is not forked yet gets the tokens with its configuration, and
        one that a template forks gets them then.
        """
        processes = self._parts.processes
        processes.config = with_tokens(processes.config, tokens)
        templates = self._parts.rollout.workers.templates.values()
        for slot, process in processes.by_slot.items():
            if process.pending_fork is None and slot not in templates:
                process.channel.send(SetTokens(*tokens.hex()))

    def _log_problem(self) -> None:
        """
        Log what is wrong with a file, once, if two looks find the same.

        One look may come between the two steps of a program that empties a file and writes it.
        """
        before, self._problem = self._problem, self._files.problem
        if self._problem != before or self._problem == self._logged:
            return
        self._logged = self._problem
        if self._problem:
            self._parts.log(f"{self._problem}; the token before it stays", LogEvent.TOKEN_KEPT)
