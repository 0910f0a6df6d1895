"""
Load an action into a spare: from the bytes of an ``/init`` to a handler that can be called.

A zip bomb, a syntax error, an exit or a hang ends or blocks this process only.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from os import getpid

import hotwhisk.launch  # noqa: F401 - imported now: later the action's own modules come first
from hotwhisk.action import action as actions
from hotwhisk.action.signal_guard import enters_action
from hotwhisk.action.signature import can_take_event, is_awaitable
from hotwhisk.artifact import artifact, snapshot, version_file
from hotwhisk.artifact.artifact import Kind
from hotwhisk.artifact.posted_code import decode
from hotwhisk.config.config import Config
from hotwhisk.errors import BuildFailed, HotwhiskError, LoadFailed
from hotwhisk.ipc.messages import Failed, Load
from hotwhisk.openwhisk import bodies, trial_request
from hotwhisk.openwhisk.answers import answer_for_init
from hotwhisk.openwhisk.sentinels import bounded
from hotwhisk.worker.own_process import end_copy, flush
from hotwhisk.worker.version_content import (
    Loaded,
    load_content,
    load_snapshot,
    set_proxy_variables,
    start_program,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from hotwhisk.actionloop.bridge import Program

    Adapt = Callable[[actions.Action | Program], actions.Action]
    """
    Called with a loaded action; returns the one that serves in its place.

    It raises LoadFailed if the action cannot take what this server takes.
    """


_MISSING_MODULE: Final = "ModuleNotFoundError"
_ALONE: Final = (
    "; a single file is posted alone: if that module lies beside it, post the folder, with the "
    "entry as __main__.py"
)
_DECLARE: Final = (
    "; if it is a library, declare it in a header # /// script of the source, or in "
    "requirements.txt beside it: then hotwhisk build packs it, and hotwhisk dev installs it"
)

Keep = Callable[[bytes], None]
"""
Called with the content of files that may change before the next worker of this generation starts.

The call comes before any of the content is run.
"""


def load(
    message: Load,
    descriptors: list[int],
    config: Config,
    keep: Keep,
    adapt: Adapt | None = None,
) -> Loaded | Failed:
    """Load the version that a message names. If it fails, return the response to its ``/init``."""
    if message.path:
        # The author may save a module twice within a second. Python would then use the bytecode
        # of the first one.
        sys.dont_write_bytecode = True
    try:
        with _exit_forked_copies():
            loaded = _load(message, _read(message, descriptors, keep), config, keep)
            if not config.openwhisk:
                _check_arguments(loaded.action)
            return loaded if adapt is None else Loaded(adapt(loaded.action), loaded.digest)
    except LoadFailed as error:
        advice = _DECLARE if _MISSING_MODULE in str(error) else ""
        return _refuse(config, LoadFailed(f"{error}{advice}", error.traceback))
    except HotwhiskError as error:
        return _refuse(config, error)
    except BaseException as error:  # code of the action ran
        printed = actions.print_error(error)
        text = f"the new version could not be loaded: {type(error).__name__}: {error}"
        return _refuse(config, LoadFailed(text, printed))
    finally:
        with bounded():
            flush()


def _check_arguments(action: actions.Action | Program) -> None:
    """
    Refuse a handler that cannot be called with an event.

    The platform accepts such a version, and each of its activations fails.

    Raises:
        LoadFailed: the handler requires other arguments.
    """
    if isinstance(action, actions.Action) and not can_take_event(action.handler):
        raise LoadFailed(
            "the handler cannot be called with an event; "
            "expected a function such as main(event) or main(event, context)"
        )


@enters_action
def make_ready(
    action: actions.Action | Program, config: Config, finish: Callable[[Awaitable[object]], object]
) -> Failed | None:
    """
    Call the functions that the action registered by `hotwhisk.on_startup`.

    Return Failed if one of them raises an exception. ``finish`` runs an awaitable to its end.
    """
    for function in action.startup:
        try:
            with _exit_forked_copies():
                result = function()
                while is_awaitable(result):
                    result = finish(result)
        except BaseException as error:  # code of the action ran
            printed = actions.print_error(error)
            name = getattr(function, "__name__", "a function")
            raised = f"{type(error).__name__}: {actions.text_of(error)}"
            text = f"{name}(), called on startup, raised {raised}"
            return _refuse(config, LoadFailed(text, printed))
        finally:
            with bounded():
                flush()
    return None


@contextmanager
def _exit_forked_copies() -> Iterator[None]:
    """
    End each copy of this process that the action forks here, when the copy leaves the context.

    Only the original process reports whether the version was loaded.
    """
    pid = getpid()
    try:
        yield
    finally:
        end_copy(pid)


def _refuse(config: Config, error: HotwhiskError) -> Failed:
    """Return the error as a message. If the platform's general text hides the cause, log it."""
    profile = config.profile
    logged = config.log_init_error
    status, text = answer_for_init(profile, error, logged=logged)
    if logged and text != str(error):
        try:
            with bounded():
                sys.stderr.write(f"{error}\n")
        except Exception:  # the action may have closed or replaced the stream
            pass
    return Failed(status, text, error.traceback if isinstance(error, LoadFailed) else "")


def _read(message: Load, descriptors: list[int], keep: Keep) -> memoryview | None:
    """Return the bytes that came with the message, or that it names; None if there are none."""
    if message.stored:
        content = version_file.read(message.stored)
        keep(content)
        return memoryview(content)
    if not descriptors:
        return None
    try:
        # The whole file is mapped, because the offset may lie within a page.
        size = message.offset + message.length
        if not size:
            return memoryview(b"")
        return memoryview(mmap.mmap(descriptors[0], size, prot=mmap.PROT_READ))[message.offset :]
    finally:
        os.close(descriptors[0])


@enters_action
def _load(message: Load, body: memoryview | None, config: Config, keep: Keep) -> Loaded:
    if message.module:
        set_proxy_variables(config)
        kept = None if body is None else snapshot.unpack(body)
        return Loaded(
            *actions.load_module(
                message.path,
                message.main,
                kept,
                lambda found: keep(snapshot.pack(found)),
                os.path.dirname(message.folder),
            )
        )
    if message.path:
        return _load_local(message, body, config, keep)
    return _load_posted(message, body or b"", config)


def _load_posted(message: Load, body: bytes | memoryview, config: Config) -> Loaded:
    request = bodies.read_init(body, config.profile)
    trial_request.check(request.trial, config)
    loaded = _load_request(message, request, config)
    return Loaded(loaded.action, loaded.digest, request.trial)


def _load_request(message: Load, request: bodies.InitRequest, config: Config) -> Loaded:
    content = decode(request)
    actions.set_environment(request.env)
    kept = snapshot.unpack(content)
    if kept is not None:  # posted by `hotwhisk dev`, whose sources lie on this machine
        return load_snapshot(kept, request.main, message.folder, config)
    try:
        return load_content(content, request.main, message.folder, config)
    except LoadFailed as error:
        if _MISSING_MODULE not in str(error) or artifact.detect(content) != Kind.SOURCE:
            raise
        raise LoadFailed(f"{error}{_ALONE}", error.traceback) from None


def _load_local(message: Load, body: memoryview | None, config: Config, keep: Keep) -> Loaded:
    kept = None if body is None else snapshot.unpack(body)
    if kept is not None:
        return load_snapshot(kept, message.main, message.folder, config)
    path = message.path
    try:
        if os.path.isdir(path):
            path = artifact.find_entry(path, served=path)
        if body is not None:
            content = bytes(body)
        else:
            with open(path, "rb") as file:
                content = file.read()
    except OSError as error:
        raise BuildFailed(f"cannot read {path}: {error.strerror}") from error
    if not content.strip():
        raise BuildFailed(f"{path} is empty; expected code with a handler: def main(event)")
    kind = artifact.detect(content)
    if kind is Kind.SOURCE:
        kept = snapshot.of_path(message.path, path, content)
        keep(snapshot.pack(kept))
        return load_snapshot(kept, message.main, message.folder, config)
    if body is None:
        keep(content)
    if kind is Kind.EXECUTABLE and os.access(path, os.X_OK):
        # It runs where it is, beside its files.
        return Loaded(start_program(path, config), artifact.digest_of(content))
    return load_content(content, message.main, message.folder, config)
