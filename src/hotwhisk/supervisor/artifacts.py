"""
The artifacts that the supervisor keeps, and the messages that have a worker load them.

The supervisor never reads an artifact. It passes on the descriptor of a memory file, or a path, to
the worker that loads it.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from hotwhisk.ipc.messages import Load
from hotwhisk.supervisor.commands import Artifact, Candidate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.config.config import Config


class UploadedArtifact(Artifact):
    """The body of an ``/init``, in a memory file that the supervisor keeps for fresh workers."""

    def __init__(
        self, descriptor: int, offset: int, length: int, close: Callable[[int], None] = os.close
    ) -> None:
        self._close = close
        self.descriptor = descriptor
        self.offset = offset
        self.length = length

    def load_message(
        self, generation: int, folder: str, *, template: bool, further: bool
    ) -> tuple[Load, list[int]]:
        """See `Artifact`."""
        where = (self.offset, self.length)
        load = Load(generation, folder, *where, template=template, further=further)
        return load, [self.descriptor]

    def release(self) -> None:
        """See `Artifact`."""
        self._close(self.descriptor)


class LocalArtifact(Artifact):
    """A file, a folder or a module on this machine, loaded where it is."""

    def __init__(self, path: str, main: str, *, module: bool = False) -> None:
        self.path = path
        self.main = main
        self.module = module
        self.content: UploadedArtifact | None = None
        """The content of the file when the generation began; its first worker sends it."""

    def load_message(
        self, generation: int, folder: str, *, template: bool, further: bool
    ) -> tuple[Load, list[int]]:
        """See `Artifact`."""
        content = self.content
        length, descriptors = (content.length, [content.descriptor]) if content else (0, [])
        where = (self.path, self.module, self.main)
        return Load(generation, folder, 0, length, *where, template, further), descriptors

    def release(self) -> None:
        """See `Artifact`."""
        if self.content is not None:
            self.content.release()


def named_by(config: Config) -> Candidate | None:
    """Return a replacement for the file or module in the configuration; None if there is none."""
    if config.module is not None:
        return Candidate(LocalArtifact(config.module, config.main, module=True))
    if config.file is not None:
        return Candidate(LocalArtifact(os.path.abspath(config.file), config.main))
    return None


def is_own(candidate: Candidate) -> bool:
    """Return whether the server itself wants to load what the configuration names."""
    own = candidate.requester is None and not candidate.rollback
    return own and isinstance(candidate.artifact, LocalArtifact)
