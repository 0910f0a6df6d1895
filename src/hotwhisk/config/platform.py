"""Read the variables that the platform, its images and systemd set."""

from __future__ import annotations

from enum import StrEnum

from hotwhisk.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping


class Profile(StrEnum):
    """Whose texts and statuses are answered."""

    PLAIN = "plain"
    OPENWHISK = "openwhisk"


TAG_VARIABLE = "HOTWHISK_WORKER"
"""The variable that marks a worker, and every program that an action starts."""

_PRIVATE = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "HOTWHISK_TOKEN_FILE",
    "HOTWHISK_REPLACE_TOKEN_FILE",
)


def platform_settings(environ: Mapping[str, str], *, openwhisk: bool) -> dict[str, object]:
    """Return the settings without a flag: those from variables of the platform and of systemd."""
    values: dict[str, object] = {"notify_socket": environ.get("NOTIFY_SOCKET") or None}
    if openwhisk:
        again = environ.get("PROXY_ALLOW_REINIT", "") == "1" or bool(environ.get("OW_DEBUG"))
        values["reinit"] = again
        values["concurrency"] = runs_may_overlap(environ)
        # The platform's tests of Python expect it, so only an empty variable turns it off.
        values["log_init_error"] = environ.get("OW_LOG_INIT_ERROR") != ""
        values["execution_env"] = environ.get("OW_EXECUTION_ENV") or None
        values["wait_for_ack"] = bool(environ.get("OW_WAIT_FOR_ACK"))
        values["compiler"] = image_compiler(environ)
        values["save_jar"] = image_jar(environ)
    return values


def runs_may_overlap(environ: Mapping[str, str]) -> bool:
    """
    Return whether runs of an action may overlap.

    They may unless the platform forbids it: it sends an action two requests at once only if the
    action's limit allows that, and many deployments do not set the variable.
    """
    return environ.get("__OW_ALLOW_CONCURRENT", "").lower() != "false"


def image_compiler(environ: Mapping[str, str]) -> str | None:
    """Return the image's compiler; None in an image for Python, since hotwhisk loads Python."""
    python = "python" in environ.get("OW_EXECUTION_ENV", "")
    return None if python else environ.get("OW_COMPILER") or None


def image_jar(environ: Mapping[str, str]) -> str | None:
    """
    Return the name of the file in which the image's compiler expects a Java archive.

    Raises:
        UsageError: OW_SAVE_JAR is a path.
    """
    name = environ.get("OW_SAVE_JAR") or None
    if name is not None and ("/" in name or name in (".", "..")):
        raise UsageError(f'OW_SAVE_JAR: expected the name of a file, got "{name}"')
    return name


def worker_environment(environ: MutableMapping[str, str], tag: str, pid: int) -> None:
    """Prepare the environment for user code: add the worker's tag and remove our own variables."""
    for name in _PRIVATE:
        environ.pop(name, None)
    environ[tag] = str(pid)
