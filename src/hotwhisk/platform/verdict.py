"""Turn an outcome into the activation result on the platform: a pure function."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from hotwhisk.platform import texts
from hotwhisk.platform.action import Limits
from hotwhisk.platform.exchange import HttpAnswer, NoAnswer, Outcome

UNHEALTHY_STATUS = 503


class Status(IntEnum):
    """How an activation ended, by the platform's numbers."""

    SUCCESS = 0
    APPLICATION_ERROR = 1
    DEVELOPER_ERROR = 2
    WHISK_ERROR = 3

    @property
    def text(self) -> str:
        """Return the status as the record shows it."""
        return _TEXTS[self]


_TEXTS = {
    Status.SUCCESS: "success",
    Status.APPLICATION_ERROR: "application error",
    Status.DEVELOPER_ERROR: "action developer error",
    Status.WHISK_ERROR: "whisk internal error",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of an activation; ``size`` is known only if the whole answer was read."""

    status: Status
    result: object
    size: int | None = None
    timed_out: bool = False

    def shown(self) -> dict[str, object]:
        """Return the ``response`` of an activation record."""
        response: dict[str, object] = {
            "status": self.status.text,
            "statusCode": int(self.status),
            "success": self.status is Status.SUCCESS,
            "result": self.result,
        }
        return response if self.size is None else {**response, "size": self.size}


def error(status: Status, value: object, size: int | None = None) -> Verdict:
    """Return a result other than a success. The platform keeps only the value under ``error``."""
    return Verdict(status, {"error": value}, size)


def is_unhealthy(outcome: Outcome) -> bool:
    """Return whether the container says that it is leaving, so that another one must be called."""
    return isinstance(outcome.answer, HttpAnswer) and outcome.answer.status == UNHEALTHY_STATUS


def judge_init(
    outcome: Outcome, limits: Limits, out_of_memory: Callable[[], bool]
) -> Verdict | None:
    """
    Return None if the action is initialised, else the result; an answer of 200 that is late counts.

    ``out_of_memory`` is called only if there was no answer, because it takes a while.
    """
    answer = outcome.answer
    if isinstance(answer, HttpAnswer) and answer.status == 200 and answer.complete:
        return None
    if late := _late(outcome, limits, during_init=True):
        return late
    if isinstance(answer, NoAnswer):
        return _unanswered(out_of_memory, texts.NO_INIT_RESPONSE)
    if not answer.complete:
        text = texts.truncated(answer.text, answer.length, limits.response)
        return error(Status.DEVELOPER_ERROR, text)
    document = _json(answer)
    if isinstance(document, dict) and "error" in document:
        return error(Status.DEVELOPER_ERROR, document["error"])
    return error(Status.DEVELOPER_ERROR, texts.failed_init(answer.text))


def judge_run(outcome: Outcome, limits: Limits, out_of_memory: Callable[[], bool]) -> Verdict:
    """
    Return the result of a run.

    The time limit counts first, even before an answer that arrived.
    """
    answer = outcome.answer
    if late := _late(outcome, limits, during_init=False):
        return late
    if isinstance(answer, NoAnswer):
        return _unanswered(out_of_memory, texts.NO_RUN_RESPONSE)
    if not answer.complete:
        text = texts.truncated(answer.text, answer.length, limits.response)
        return error(Status.APPLICATION_ERROR, text, answer.length)
    document, size = _json(answer), answer.length
    if answer.status == 200 and isinstance(document, dict | list):
        if isinstance(document, dict) and "error" in document:
            return error(Status.APPLICATION_ERROR, document["error"], size)
        return Verdict(Status.SUCCESS, document, size)
    if isinstance(document, dict) and "error" in document:
        return error(Status.DEVELOPER_ERROR, document["error"], size)
    return error(Status.DEVELOPER_ERROR, texts.bad_run(answer.text), size)


def _late(outcome: Outcome, limits: Limits, *, during_init: bool) -> Verdict | None:
    if outcome.seconds * 1000 < limits.timeout:
        return None
    text = texts.time_limit_exceeded(limits.timeout, during_init=during_init)
    return Verdict(Status.DEVELOPER_ERROR, {"error": text}, timed_out=True)


def _unanswered(out_of_memory: Callable[[], bool], otherwise: str) -> Verdict:
    return error(Status.DEVELOPER_ERROR, texts.MEMORY_EXHAUSTED if out_of_memory() else otherwise)


def _json(answer: HttpAnswer) -> object:
    try:
        document: object = json.loads(answer.text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return document


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")
