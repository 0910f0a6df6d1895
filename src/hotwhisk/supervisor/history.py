"""
The versions that were current, and which of them are kept, so that a roll-back can load them.

Pure. The contents of the current version and of the one before it are in memory. If the server has
a state folder, further contents are kept in files there. Without one, the history is what is in
memory.

An entry is a `Version`. What it is made of is its `Content`: a roll-back makes an entry of its own,
with the content of an earlier version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hotwhisk.supervisor.commands import Artifact, Candidate, Origin, Requester

IN_MEMORY = 2
"""Contents in memory: the current one for fresh workers, the one before it for a roll-back."""

MOST_KEPT = 10
"""Most contents that are kept. A mistake is found within a few versions, or in the sources."""

MOST_BYTES = 256 << 20
"""
Most bytes of kept contents: four of the largest that can be posted. The current one and the one
before it are kept even if they are larger.
"""

MOST_LISTED = 100
"""Most versions that are listed. The whole list has to fit one answer on the control socket."""


class Content:
    """
    What versions are made of: ``artifact`` in memory, ``file`` in the state folder, or neither.

    It first belonged to the version ``number``, by which its file is named. ``size`` is the number
    of bytes of the file, 0 if there is none.
    """

    def __init__(self, number: int, origin: Origin, size: int = 0) -> None:
        self.number = number
        self.origin = origin
        self.size = size
        self.artifact: Artifact | None = None
        self.file: Artifact | None = None
        self.can_load = True
        """Whether its latest load succeeded."""

    @property
    def is_kept(self) -> bool:
        """Whether a roll-back can load it."""
        return self.artifact is not None or self.file is not None


class Version:
    """
    A version that became current: generation ``number``, at ``at`` seconds since 1970.

    ``rollback_of`` is the version whose content it has, if a roll-back made it current, else 0.
    """

    def __init__(
        self, number: int, digest: str, at: float, content: Content, rollback_of: int = 0
    ) -> None:
        self.number = number
        self.digest = digest
        self.at = at
        self.content = content
        self.rollback_of = rollback_of

    @property
    def how(self) -> str:
        """How it became current: by a ``rollback``, from a ``file``, or by ``replace``."""
        if self.rollback_of:
            return "rollback"
        return "file" if self.content.origin.path else "replace"

    def candidate(self, requester: Requester | None = None) -> Candidate:
        """Return the replacement that makes this version, which is kept, current again."""
        artifact = self.content.artifact or self.content.file
        assert artifact is not None
        candidate = Candidate(artifact, requester=requester, rollback=True)
        candidate.restores = self.number
        return candidate


class History:
    """
    The versions of one server, the oldest first. ``clock`` returns seconds since 1970.

    ``revision`` grows whenever the history has changed.
    """

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.versions: list[Version] = []
        self.revision = 0
        self._clock = clock
        self._last_number = 0
        self._in_memory: list[Content] = []
        """The contents that are in memory, the one that was current last at the end."""
        self._begun = False
        """Whether the last version is the current one; false before the first load of a server."""

    def restore(self, versions: Sequence[Version]) -> None:
        """Begin with the versions of an earlier server; later ones get higher numbers."""
        self.versions = list(versions)
        self._last_number = max((each.number for each in versions), default=0)

    def next_number(self) -> int:
        """Return the number for a version that is about to load."""
        self._last_number += 1
        return self._last_number

    def add(self, candidate: Candidate, number: int, digest: str) -> list[Artifact]:
        """Record that a version is current now; return the artifacts that are to be released."""
        last = self.versions[-1] if self.versions else None
        earlier = self.find(candidate.restores) if candidate.restores else None
        origin = candidate.artifact.origin
        at = self._clock()
        if earlier is not None:
            content = earlier.content
        elif last and not self._begun and origin.path and _is_same(last, origin, digest):
            # A start with the FILE that was current: it is the same version, under a new number.
            content, at = last.content, last.at
            self.versions.pop()
        else:
            content = Content(number, origin)
        content.artifact, content.can_load, self._begun = candidate.artifact, True, True
        if earlier is None or candidate.restores != number:
            self.versions.append(Version(number, digest, at, content, candidate.restores))
            self.revision += 1
        del self.versions[:-MOST_LISTED]
        # This is on the way of each /init, so it looks at no other content.
        if content in self._in_memory:
            self._in_memory.remove(content)
        self._in_memory.append(content)
        released = []
        for each in self._in_memory[:-IN_MEMORY]:
            if each.artifact is not None:
                released.append(each.artifact)
                each.artifact = None
        del self._in_memory[:-IN_MEMORY]
        return released

    @property
    def is_rolled_back(self) -> bool:
        """Whether a roll-back made the current version current."""
        return self._begun and self.versions[-1].rollback_of > 0

    def find(self, number: int) -> Version | None:
        """Return the version with that number; None if it is not listed."""
        return next((each for each in self.versions if each.number == number), None)

    def previous(self) -> Version | None:
        """
        Return the version to which a roll-back goes if it names no version; None if there is none.

        From a roll-back, it is the version before the one that was restored.
        """
        current = self.versions[-1].content if self._begun else None
        for version in reversed(self.versions):
            older = current is None or version.number < current.number
            if older and version.content.is_kept and version.content.can_load:
                return version
        return None

    def target(self, number: int) -> Version | None:
        """
        Return the version to which a roll-back to ``number`` goes; 0 means that of `previous`.

        Returns None if it is not kept, or is current.
        """
        if not number:
            return self.previous()
        found = self.find(number)
        if found is None or not found.content.is_kept or self._is_current(found):
            return None
        return found

    def why_no_rollback(self, number: int) -> str:
        """Return why no roll-back to that generation begins; 0 means that of `previous`."""
        if self.target(number) is not None:
            return "no roll-back begins: another one is under way, or the server stops"
        found, current = self.find(number), self.versions[-1] if self._begun else None
        others = [each.number for each in self.versions if self.target(each.number) is each]
        kept = f"; kept: {', '.join(map(str, others))}" if others else ""
        if found is not None and self._is_current(found):
            return f"generation {number} is current{kept}"
        if number:
            return f"generation {number} is not kept{kept or ', nor is another one'}"
        why = "no version is current"
        if current is not None and current.rollback_of:
            why = f"generation {current.number} is a roll-back itself; none before it is kept"
        elif current is not None:
            why = f"generation {current.number} is the first version, or the one before it does not load"
        return f"nothing to roll back to: {why}{kept}"

    def load_failed(self, number: int) -> None:
        """Record that a version did not load: only a roll-back that names it tries it again."""
        if found := self.find(number):
            found.content.can_load = False

    def contents(self) -> list[Content]:
        """Return the contents that are kept, the one that was current last first."""
        found = dict.fromkeys(each.content for each in reversed(self.versions))
        return [each for each in found if each.is_kept]

    def stored(self, number: int, size: int, file: Artifact) -> None:
        """Record that the state folder has a content, in a ``file`` of ``size`` bytes."""
        for version in self.versions:
            if version.content.number == number:
                version.content.size, version.content.file = size, file

    def forget_files(self) -> None:
        """Forget the files beyond the limits, before the history is written."""
        total = 0
        for place, content in enumerate(self.contents()):
            total += content.size
            if place >= IN_MEMORY and (place >= MOST_KEPT or total > MOST_BYTES):
                content.file, content.size = None, 0

    def _is_current(self, version: Version) -> bool:
        return self._begun and version.content is self.versions[-1].content


def _is_same(version: Version, origin: Origin, digest: str) -> bool:
    """Return whether a version came from a place on this machine, with that digest."""
    return version.how == "file" and (version.content.origin, version.digest) == (origin, digest)
