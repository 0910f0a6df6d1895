"""
The artifacts that the supervisor keeps, and the messages that have a worker load them.

The supervisor never reads an artifact. It passes on the descriptor of a memory file, or a path, to
the worker that loads it.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from hotwhisk.ipc.messages import Load
from hotwhisk.supervisor.commands import Artifact, Candidate, Origin

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

    def held(self) -> tuple[int, int, int]:
        """See `Artifact`."""
        return self.descriptor, self.offset, self.length


class LocalArtifact(Artifact):
    """A file, a folder or a module on this machine, loaded where it is."""

    def __init__(self, path: str, main: str, *, module: bool = False) -> None:
        self.origin = Origin(path, module, main)
        self.content: UploadedArtifact | None = None
        """The content of the file when the generation began; its first worker sends it."""

    def load_message(
        self, generation: int, folder: str, *, template: bool, further: bool
    ) -> tuple[Load, list[int]]:
        """See `Artifact`."""
        content = self.content
        length, descriptors = (content.length, [content.descriptor]) if content else (0, [])
        origin = self.origin
        where = (origin.path, origin.module, origin.main)
        return Load(generation, folder, 0, length, *where, template, further), descriptors

    def release(self) -> None:
        """See `Artifact`."""
        if self.content is not None:
            self.content.release()
            self.content = None

    def held(self) -> tuple[int, int, int] | None:
        """See `Artifact`."""
        return self.content.held() if self.content is not None else None


class StoredArtifact(LocalArtifact):
    """
    A version in a ``file`` of the state folder. Its first worker reads the file and sends the
    content, for later workers. It may be loaded again after it was released.
    """

    def __init__(self, file: str, origin: Origin) -> None:
        super().__init__(origin.path, origin.main, module=origin.module)
        self.file = file

    def load_message(
        self, generation: int, folder: str, *, template: bool, further: bool
    ) -> tuple[Load, list[int]]:
        """See `Artifact`."""
        load, descriptors = super().load_message(
            generation, folder, template=template, further=further
        )
        if self.content is None:
            load = Load.of({**vars(load), "stored": self.file})
        return load, descriptors


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
