"""
Import the parts of a server that only an option needs, if the option is given.

What a server imports, each of its processes has in memory. So a part without which most servers do
is imported here, and by nothing that every server imports; a test has the list. The parts of a
worker are in `hotwhisk.worker.worker_options`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.config.config import Config
    from hotwhisk.server.admin import Admin
    from hotwhisk.server.token_rotation import TokenRotation
    from hotwhisk.supervisor.parts import Log, Parts
    from hotwhisk.system.line_writer import LineWriter
    from hotwhisk.system.system import System


def log_writer(config: Config) -> LineWriter | None:
    """Return what writes the log with ``--log-format json``; None if the log is text."""
    if not config.json_log:
        return None
    from hotwhisk.server.stdout import take_stdout

    return take_stdout()


def admin(config: Config, parts: Parts) -> list[Admin]:
    """Return what answers at the address of ``--admin``; nothing without it."""
    if config.admin is None:
        return []
    from hotwhisk.server.admin import Admin

    return [Admin(config.admin, config, parts)]


def token_rotation(config: Config, parts: Parts) -> TokenRotation | None:
    """Return what reads the files of ``--token-file`` again; None if there is none."""
    if not config.has_token_file:
        return None
    from hotwhisk.server.token_rotation import TokenRotation

    return TokenRotation(config, parts)


def preload(config: Config, system: System, log: Log) -> None:
    """Import what ``--preload`` names."""
    if config.preload:
        from hotwhisk.server.preload import preload

        preload(config.preload, system, config.init_timeout, log)
