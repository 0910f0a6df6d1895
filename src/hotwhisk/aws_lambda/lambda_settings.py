"""Read what Lambda sets in the environment of a runtime. Pure."""

from __future__ import annotations

from hotwhisk.config.option import Address, count, maybe_address
from hotwhisk.errors import UsageError
from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

API: Final = "AWS_LAMBDA_RUNTIME_API"
LOG_DESCRIPTOR: Final = "_LAMBDA_TELEMETRY_LOG_FD"
NO_API: Final = (
    f"{API} is not set; Lambda sets it, and so does its emulator: "
    "aws-lambda-rie hotwhisk lambda {handler} (docs/lambda.md says where to get that)"
)
NO_HANDLER: Final = (
    "there is no handler; expected MODULE.FUNCTION as the argument or in _HANDLER: "
    "hotwhisk lambda app.handler"
)


class LambdaSettings(Record):
    """What the runtime of one function must know."""

    handler: str
    """The module and the function, as ``app.handler``; empty for that of ``artifact``."""
    api: Address
    """Where the platform listens."""
    task_root: str = ""
    """The folder of the function's code, if the platform names one."""
    concurrency: int = 1
    """How many events the platform sends at a time: more than one on a Managed Instance."""
    has_snapshots: bool = False
    """Whether the platform takes a snapshot after the start (SnapStart)."""
    json_log: bool = False
    log_socket: str = ""
    """The path of the socket to which each process connects its output; empty if there is none."""
    artifact: str = ""
    """The path of a built file that has the function; empty if a folder has it."""
    log_descriptor: int = -1
    """The descriptor for the frames of the log; -1 if there is none."""


def read_settings(
    handler: str | None, environ: Mapping[str, str], artifact: str = ""
) -> LambdaSettings:
    """
    Read the settings of a runtime. ``handler`` is used before the variable ``_HANDLER``.

    An ``artifact`` states its handler, so the variable is not read for it: Lambda demands some name
    for each zip, and its emulator takes what ends the command for one.

    Raises:
        UsageError: a variable is missing or wrong.
    """
    name = handler or ("" if artifact else environ.get("_HANDLER", ""))
    if not (name or artifact):
        raise UsageError(NO_HANDLER)
    text = environ.get(API, "")
    if not text:
        raise UsageError(NO_API.format(handler=name or f"--artifact {artifact}"))
    descriptor = environ.get(LOG_DESCRIPTOR, "")
    return LambdaSettings(
        handler=name,
        api=_address(text),
        task_root=environ.get("LAMBDA_TASK_ROOT", ""),
        concurrency=_concurrency(environ.get("AWS_LAMBDA_MAX_CONCURRENCY") or "1"),
        has_snapshots=environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start",
        json_log=is_json(environ),
        artifact=artifact,
        log_socket=environ.get("_LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET", ""),
        log_descriptor=int(descriptor) if descriptor.isdigit() else -1,
    )


def is_json(environ: Mapping[str, str]) -> bool:
    """Return whether the lines of the log are to be JSON."""
    return environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"


def _address(text: str) -> Address:
    try:
        found = maybe_address(text)
    except ValueError:
        found = None
    if found is None or found.path or not found.port:
        raise UsageError(f'{API}: expected HOST:PORT, got "{text}"')
    return found


def _concurrency(text: str) -> int:
    try:
        return count(text)
    except ValueError as error:
        raise UsageError(f'AWS_LAMBDA_MAX_CONCURRENCY: expected {error}, got "{text}"') from None
