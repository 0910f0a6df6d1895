"""
Make the version of an action that its files are now.

It is stored as the platform would get it, see `hotwhisk.gateway.dev.stored_code`. What is posted to
the server of the action is a snapshot: the same sources, under their own paths. So tracebacks name
the real files, a debugger finds them, and data beside them is at hand.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hotwhisk.artifact import snapshot
from hotwhisk.artifact.kinds import DEFAULT_HANDLER
from hotwhisk.artifact.snapshot import Snapshot
from hotwhisk.errors import BuildFailed, UsageError
from hotwhisk.gateway.api.limits import DEFAULTS
from hotwhisk.gateway.dev.env_file import read_env_file
from hotwhisk.gateway.dev.project import Source
from hotwhisk.gateway.dev.stored_code import PlatformCode

LONG_TIMEOUT: Final = 3_600_000
"""Milliseconds of an action that a person may hold in a debugger."""


@dataclass(frozen=True, slots=True)
class Options:
    """
    What all actions of a project get.

    ``parameters`` are the defaults of each call; ``env_file`` holds variables, or is empty. With
    ``web``, the actions are web actions. With ``patient``, a call may take an hour. ``prelude``
    returns the source that runs before an action, by the action's name. With ``has_terminal``, an
    action that has ``breakpoint(`` in its text may also take an hour. With ``in_packages``, an
    action that is unchanged since the last start is loaded at its first call only, and a file
    without a handler is a module of the files beside it. ``main`` is the name of the handlers.
    """

    prelude: Callable[[str], str]
    parameters: dict[str, object] = field(default_factory=dict)
    env_file: str = ""
    web: bool = False
    patient: bool = False
    has_terminal: bool = False
    in_packages: bool = False
    main: str = DEFAULT_HANDLER


@dataclass(frozen=True, slots=True)
class Candidate:
    """
    A version that is not stored yet.

    ``code`` is what is stored, and ``posted`` what the server gets in its place. ``document`` is
    what the API shows of it. ``warning`` says what ``code`` lacks of the files, or is empty.
    """

    source: Source
    code: str
    posted: str
    document: dict[str, Any]
    warning: str = ""


def read_candidate(
    source: Source, libraries: str, stored: PlatformCode, options: Options
) -> Candidate:
    """
    Read the files of an action. ``libraries`` is the virtual environment that they need, or empty.

    Raises:
        UsageError: a file cannot be read, or cannot be in an artifact, or the file of variables
            is wrong.
        BuildFailed: the entry is empty, or the sources are too large.
    """
    kept = _snapshot(source)
    code = stored.make(source, kept)
    values = {name: getattr(kept, name) for name in kept.fields}
    values |= {"libraries": libraries, "prelude": options.prelude(source.shown)}
    posted = base64.b64encode(snapshot.pack(Snapshot.of(values))).decode()
    document = _document(kept, options, binary=code.binary)
    return Candidate(source, code.text, posted, document, code.warning)


def _snapshot(source: Source) -> Snapshot:
    try:
        with open(source.entry, "rb") as file:
            content = file.read()
    except OSError as error:
        raise UsageError(f"{source.entry} cannot be read: {error.strerror}") from None
    if not content.strip():
        raise BuildFailed(f"{source.entry} is empty; expected code with a handler: def main(event)")
    if source.entry == source.path:
        return snapshot.of_file(source.path, content)
    return snapshot.of_folder(source.path, source.entry, content)


def _document(kept: Snapshot, options: Options, *, binary: bool) -> dict[str, Any]:
    variables = read_env_file(options.env_file) if options.env_file else {}
    parameters: list[dict[str, object]] = [
        {"key": key, "value": value} for key, value in options.parameters.items()
    ]
    parameters += [{"key": key, "value": value, "init": True} for key, value in variables.items()]
    stops = options.has_terminal and any(b"breakpoint(" in each for each in kept.files.values())
    limits = {**DEFAULTS, "timeout": LONG_TIMEOUT} if options.patient or stops else DEFAULTS
    main = {} if options.main == DEFAULT_HANDLER else {"main": options.main}
    annotations: list[dict[str, object]] = [{"key": "web-export", "value": options.web}]
    return {
        "publish": False,
        "exec": {"kind": "python:3", "binary": binary, **main},
        "parameters": parameters,
        "annotations": annotations,
        "limits": dict(limits),
    }
