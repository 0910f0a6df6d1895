"""
A desk becomes a worker: from the bytes of an ``/init`` to a handler that can be called.

Whatever happens here, a zip bomb, a syntax error, an exit or a hang, costs this process only.
"""

from __future__ import annotations

import mmap
import os
import sys
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hotwhisk import action as actions
from hotwhisk import artifact, contract, invocation
from hotwhisk.errors import HotwhiskError, LoadFailed
from hotwhisk.messages import Failed, Load

if TYPE_CHECKING:
    from hotwhisk.config import Config


@dataclass(frozen=True, slots=True)
class Loaded:
    """
    A handler, and the digest of what it came from.
    """

    action: actions.Action
    digest: str


def load(message: Load, descriptors: list[int], config: Config) -> Loaded | Failed:
    """
    Load what the message names; Failed with the answer to its ``/init`` if that cannot be.
    """
    try:
        if message.path:
            return _load_local(message)
        return _load_posted(message, descriptors[0])
    except HotwhiskError as error:
        return Failed(error.status, str(error))
    except BaseException as error:  # the wall: user code ran
        traceback.print_exception(error)
        return Failed(502, f"the new version could not be loaded: {type(error).__name__}: {error}")
    finally:
        invocation.flush()


def _load_posted(message: Load, descriptor: int) -> Loaded:
    try:
        # The offset need not be that of a page, so the whole file is mapped.
        size = message.offset + message.length
        body = mmap.mmap(descriptor, size, prot=mmap.PROT_READ) if size else b""
    finally:
        os.close(descriptor)
    request = contract.read_init(memoryview(body)[message.offset :])
    content = artifact.decode(request)
    actions.set_environment(request.env)
    return _load_content(content, request.main, message.folder)


def _load_local(message: Load) -> Loaded:
    path = Path(message.path)
    if path.is_dir():
        path = artifact.find_entry(path)
    content = path.read_bytes()
    if artifact.detect(content) is artifact.Kind.SOURCE:
        return Loaded(actions.load_file(path, message.main), artifact.digest_of(content))
    return _load_content(content, message.main, message.folder)


def _load_content(content: bytes, main: str, folder: str) -> Loaded:
    unpacked = artifact.unpack(content, Path(folder))
    return Loaded(actions.load(unpacked, main), unpacked.digest)


def make_ready(
    action: actions.Action, finish: Callable[[Coroutine[object, object, object]], object]
) -> Failed | None:
    """
    Call the action's ``ready()``: the place for what should be done before the first request.
    ``finish`` runs a coroutine to its end.
    """
    if action.ready is None:
        return None
    try:
        result = action.ready()
        if isinstance(result, Coroutine):
            finish(result)
    except BaseException as error:  # the wall between user code and us
        actions.print_error(error)
        return Failed(LoadFailed.status, f"ready() raised {type(error).__name__}: {error}")
    finally:
        invocation.flush()
    return None
