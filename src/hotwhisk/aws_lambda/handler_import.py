"""Import the handler of a function by its name, with the platform's types for what goes wrong."""

from __future__ import annotations

import importlib
import sys

from hotwhisk.aws_lambda.failure import Failure, of_exception

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    Handler = Callable[..., Any]

IMPORT_ERROR: Final = "Runtime.ImportModuleError"
"""The platform's type of the error for a module that cannot be imported."""


def import_handler(name: str) -> Handler | Failure:
    """
    Import the handler ``name``, which is MODULE.FUNCTION; a slash in it is read as a dot.

    Return what was wrong, if the function cannot be used. What ends the process is not caught.
    """
    module_name, dot, function = name.replace("/", ".").rpartition(".")
    if not (dot and module_name and function):
        message = f"Bad handler '{name}': expected MODULE.FUNCTION, such as app.handler"
        return Failure("Runtime.MalformedHandlerName", message)
    if module_name.partition(".")[0] in sys.builtin_module_names:
        message = f"Cannot use built-in module {module_name} as a handler module"
        return Failure("Runtime.BuiltInModuleConflict", message)
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        message = f"Unable to import module '{module_name}': {error}"
        return Failure(IMPORT_ERROR, message, of_exception(error).stack)
    except SyntaxError as error:
        message = f"Syntax error in module '{module_name}': {error}"
        line = f'  File "{error.filename}", line {error.lineno}\n    {error.text}'
        return Failure("Runtime.UserCodeSyntaxError", message, [line])
    except Exception as error:  # noqa: BLE001 - code of the function ran
        return of_exception(error)
    handler = getattr(module, function, None)
    if not callable(handler):
        message = f"Handler '{function}' missing on module '{module_name}'"
        return Failure("Runtime.HandlerNotFound", message)
    found: Handler = handler
    return found
