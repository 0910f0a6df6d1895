"""
Load the function of a built file, which is an action on other platforms.

The file is unpacked beside the version that the server was given, and goes when that one goes.
"""

from __future__ import annotations

import os

from hotwhisk.action import action as actions
from hotwhisk.action.isolation import enter_action_folder
from hotwhisk.action.signature import is_async
from hotwhisk.artifact import artifact
from hotwhisk.artifact.kinds import DEFAULT_HANDLER, Kind
from hotwhisk.aws_lambda.failure import Failure
from hotwhisk.aws_lambda.handler_import import IMPORT_ERROR, import_handler
from hotwhisk.errors import BuildFailed, VersionError
from hotwhisk.registration import HandlerSlot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from hotwhisk.artifact.artifact import Unpacked
    from hotwhisk.aws_lambda.handler_import import Handler

_FOLDER: Final = "function"


def load_built(path: str, name: str) -> Handler | Failure:
    """
    Return the handler of the file at ``path``, or what was wrong; call it in the server's folder.

    It is called as Lambda calls a function, with an event and a context. If ``name`` is empty, it
    is the handler that the build named. That one gets the context only if it requires it, as on
    other platforms. Otherwise ``name`` is MODULE.FUNCTION.
    """
    try:
        unpacked = _unpack(path)
        if name:
            enter_action_folder(unpacked.folder)
            return import_handler(name)
        loaded = actions.load(unpacked, DEFAULT_HANDLER)
    except (OSError, VersionError) as error:
        return Failure(IMPORT_ERROR, f"Unable to load {path}: {error}")
    finally:
        HandlerSlot.handler = None  # or the server would take it for its own version's
    return loaded.handler if loaded.takes_context else _without_context(loaded.handler)


def _unpack(path: str) -> Unpacked:
    with open(path, "rb") as file:
        content = file.read()
    if artifact.detect(content) is not Kind.BUILT:
        raise BuildFailed("expected a file that hotwhisk build has made, in the format app")
    holder = os.path.dirname(os.getcwd())
    return artifact.unpack(
        content, f"{holder}/{_FOLDER}", libraries=artifact.libraries_beside(holder)
    )


def _without_context(handler: Handler) -> Handler:
    """Return a handler that gives no context to this one."""

    async def call_async(event: object, _: object) -> Any:
        return await handler(event)

    def call(event: object, _: object) -> Any:
        return handler(event)

    return call_async if is_async(handler) else call
