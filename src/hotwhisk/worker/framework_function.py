"""
Serve a function that the Functions Framework for Python has decorated.

Such a function gets a request of Flask, or an event of the CloudEvents SDK. The framework itself
makes a WSGI application of it, which answers as it would under the framework's own server. This
module imports no library: if an action uses the framework, the action has imported it.

Source: functions-framework 3.10. It has no public way to make an application of a function that is
loaded already, so two functions of it that are not public are used.
"""

from __future__ import annotations

import os
import sys

from hotwhisk.action.action import Action
from hotwhisk.errors import LoadFailed
from hotwhisk.worker.wsgi import WsgiFunction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from hotwhisk.actionloop.bridge import Program

_FRAMEWORK: Final = "functions_framework"
_REGISTRY: Final = "functions_framework._function_registry"


def framework_action(action: Action | Program) -> Action:
    """
    Return the action with the framework's application in the place of its handler.

    If the framework has not decorated the handler, return the action as it is.

    Raises:
        LoadFailed: it is a program, the function is an asynchronous one, or the framework's version
            is not known.
    """
    if not isinstance(action, Action):
        raise LoadFailed(
            "a program cannot take CloudEvents; post Python code, or leave out --cloudevents"
        )
    framework, registry = sys.modules.get(_FRAMEWORK), sys.modules.get(_REGISTRY)
    name = getattr(action.handler, "__name__", "")
    if framework is None or registry is None:
        return action
    if name in getattr(registry, "ASGI_FUNCTIONS", ()):
        raise LoadFailed(
            f"{name} is decorated by functions_framework.aio, which is not served here; "
            "use functions_framework.http or functions_framework.cloud_event"
        )
    if name not in getattr(registry, "REGISTRY_MAP", ()):
        return action
    try:
        application = _application(framework, registry, action.handler, name)
    except AttributeError as error:
        raise LoadFailed(
            f"this version of functions-framework is not known here ({error}); "
            "use one that is: 3.8 to 3.10"
        ) from error
    return Action(WsgiFunction(application), action.startup)


def _application(framework: Any, registry: Any, function: object, name: str) -> Any:
    """Make an application of a function, as the framework does when it has loaded a source."""
    folder = os.getcwd()  # that of the action
    if framework._enable_execution_id_logging():
        framework._configure_app_execution_id_logging()
    application = sys.modules["flask"].Flask(
        name, template_folder=f"{folder}/templates", root_path=folder
    )
    application.register_error_handler(500, framework.crash_handler)
    application.wsgi_app = framework.execution_id.WsgiMiddleware(application.wsgi_app)
    kind = registry.get_func_signature_type(name, None)
    framework._configure_app(application, function, kind)
    return application
