"""
Load the content of a version: its sources, an archive, or a program.

`hotwhisk.worker.loading` gets the content, and says what comes of errors.
"""

from __future__ import annotations

import os

from hotwhisk.action import action as actions
from hotwhisk.action import pinned
from hotwhisk.action.installation import install_beside, install_unpacked
from hotwhisk.action.isolation import environment, set_defaults
from hotwhisk.actionloop import compiling
from hotwhisk.actionloop.proxy_variables import python_variables
from hotwhisk.artifact import artifact
from hotwhisk.artifact.artifact import Kind
from hotwhisk.artifact.snapshot import Snapshot
from hotwhisk.config.config import Config
from hotwhisk.errors import BuildFailed
from hotwhisk.openwhisk.trial_request import TrialRequest
from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.actionloop.bridge import Program


class Loaded(Record):
    """Holds a handler, the digest of its version, and the trial that its ``/init`` asks for."""

    action: actions.Action | Program
    digest: str
    trial: TrialRequest | None = None


def load_snapshot(kept: Snapshot, main: str, folder: str, config: Config) -> Loaded:
    """Load sources under their own paths, with the content that the generation began with."""
    exec(kept.prelude, {})  # noqa: S102 - it comes from the one who also posts the sources
    libraries = kept.libraries or install_beside(kept, folder, config)
    pinned.install(kept)
    entry = f"{kept.root}/{kept.entry}"
    set_proxy_variables(config)
    holder = os.path.dirname(folder)
    action = actions.load_file(entry, main, kept.files[kept.entry], holder, libraries)
    return Loaded(action, kept.digest)


def start_program(path: str, config: Config) -> Program:
    """Start a program in the place of an action."""
    from hotwhisk.actionloop.bridge import Program  # here, because most actions are in Python

    return Program(path, environment(), config)


def set_proxy_variables(config: Config) -> None:
    """Set the variables of the official Python image that are not set yet; under OpenWhisk only."""
    if config.openwhisk:
        set_defaults(python_variables(config))


def load_content(content: bytes, main: str, folder: str, config: Config) -> Loaded:
    """Load a source, an archive or a program, which is unpacked into ``folder``."""
    compiler = compiling.compiler(config, main)
    libraries = artifact.libraries_beside(os.path.dirname(folder))
    try:
        unpacked = artifact.unpack(content, folder, compiler, libraries, config.save_jar)
    except OSError as error:
        raise BuildFailed(
            f"the version cannot be unpacked into {os.path.dirname(folder)}: {error.strerror}; "
            "make room there, or choose a writable folder with --run-dir"
        ) from error
    if unpacked.kind is Kind.FOLDER:
        install_unpacked(unpacked, libraries, config)
    compiling.check_environment(unpacked, config)
    if unpacked.kind is Kind.EXECUTABLE:
        return Loaded(start_program(unpacked.entry, config), unpacked.digest)
    set_proxy_variables(config)
    source = content if unpacked.kind is Kind.SOURCE else None
    return Loaded(actions.load(unpacked, main, source), unpacked.digest)
