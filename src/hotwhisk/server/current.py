"""Answer which version is current, and pass on its content: for the process of ``--mcp``."""

from __future__ import annotations

from hotwhisk.config.addresses import CONTROL_VERSION
from hotwhisk.server.control import ControlRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.supervisor.parts import Parts


def answer_current(question: ControlRequest, parts: Parts) -> None:
    """
    Answer with the number of the current version, and why a later one was refused.

    The content is in a memory file, whose descriptor goes with the answer: the body of an
    ``/init``, or, if ``main`` is not empty, what lies in FILE. It may be missing.
    """
    current = parts.rollout.current
    held = current.artifact.held() if current.artifact is not None else None
    descriptor, offset, length = held or (-1, 0, 0)
    origin = current.artifact.origin if current.artifact is not None else None
    question.answer(
        {
            "version": CONTROL_VERSION,
            "generation": current.number,
            "main": origin.main if origin is not None and origin.path else "",
            "offset": offset,
            "length": length,
            "refusal": parts.stats.refusal,
        },
        descriptor,
    )
