"""The two output streams of a runtime, and the sentinels on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SENTINEL: Final = "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX"


@dataclass(frozen=True)
class Streams:
    """All that a runtime wrote."""

    stdout: str
    stderr: str

    def sentinels(self) -> tuple[int, int]:
        """Return how many are on stdout and how many on stderr."""
        return self.stdout.count(SENTINEL), self.stderr.count(SENTINEL)

    def without_sentinels(self) -> Streams:
        """Return the streams without sentinels, stripped."""
        return Streams(_rest(self.stdout), _rest(self.stderr))


def _rest(text: str) -> str:
    return text.replace(SENTINEL, "").strip()
