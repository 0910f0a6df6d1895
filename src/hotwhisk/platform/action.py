"""Describe what is invoked: an action, its limits, and the two bodies that the invoker sends."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an action, with the platform's defaults."""

    timeout: int = 60_000
    """Milliseconds, for ``/init`` and for ``/run`` each."""
    memory: int = 256
    logs: int = 10
    """MB of log kept of one activation; with 0 no log is collected."""
    concurrency: int = 1
    response: int = _MIB
    """
    Most bytes of an answer; a longer one is cut.

    The limit belongs to the deployment, not the action.
    """

    def shown(self) -> dict[str, int]:
        """Return the limits as the activation record has them."""
        return {
            "concurrency": self.concurrency,
            "logs": self.logs,
            "memory": self.memory,
            "timeout": self.timeout,
        }


@dataclass(frozen=True, slots=True)
class Action:
    """
    An action as the platform stores it.

    ``code`` is text or base64, and None for an image with its action baked in. The platform finds
    out itself whether it is binary. ``init_parameters`` are those that the user marked as
    environment.
    """

    name: str
    code: str | None = None
    main: str = "main"
    namespace: str = "guest"
    version: str = "0.0.1"
    kind: str = "python:3"
    parameters: Mapping[str, object] = field(default_factory=dict)
    init_parameters: Mapping[str, object] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    api_key: str | None = None
    """Sent only if it is set, as with the annotation ``provide-api-key``."""
    sentinelled: bool = True
    """Whether the kind ends its logs with sentinels; a blackbox image does not."""

    @property
    def path(self) -> str:
        """The fully qualified name, without the leading slash."""
        return f"{self.namespace}/{self.name}"

    def argument(self, given: object) -> object:
        """Return the default parameters, replaced by those of the call. An array is sent alone."""
        return {**self.parameters, **given} if isinstance(given, Mapping) else given


@dataclass(frozen=True, slots=True)
class Names:
    """The identifiers of one activation, and the caller for whom it runs."""

    activation: str
    transaction: str
    namespace: str = "guest"
    """The namespace of the caller, which need not own the action."""


def is_base64(code: str) -> bool:
    """Return whether the platform takes inline code for base64. A source text may be base64."""
    text = code.strip()
    return bool(text) and len(text) % 4 == 0 and _BASE64.fullmatch(text) is not None


def init_body(action: Action, names: Names, deadline: int) -> bytes:
    """Return the body of the ``/init`` before the first activation."""
    variables = {name: environment_text(value) for name, value in action.init_parameters.items()}
    context = _context(action, names, deadline)
    variables |= {f"__OW_{key.upper()}": text for key, text in context.items()}
    value: dict[str, object] = {"name": action.name.rpartition("/")[2], "main": action.main}
    if action.code is not None:
        value["code"] = action.code
        value["binary"] = is_base64(action.code)
    value["env"] = variables
    return _compact({"value": value})


def run_body(action: Action, names: Names, deadline: int, argument: object) -> bytes:
    """Return the body of a ``/run``. The deadline is a string, though documents say a number."""
    return _compact({"value": argument, **_context(action, names, deadline)})


def environment_text(value: object) -> str:
    """Return an init parameter as the platform turns it into a variable."""
    if value is None:
        return ""
    return value if isinstance(value, str) else _compact(value).decode()


def _context(action: Action, names: Names, deadline: int) -> dict[str, str]:
    context = {
        "namespace": names.namespace,
        "action_name": f"/{action.path}",
        "action_version": action.version,
        "activation_id": names.activation,
        "transaction_id": names.transaction,
        "deadline": str(deadline),
    }
    return context if action.api_key is None else {**context, "api_key": action.api_key}


def _compact(document: object) -> bytes:
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace")  # as Java writes a lone surrogate
