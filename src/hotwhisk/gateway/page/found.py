"""Find what a page is about, in the namespace of its reader."""

from __future__ import annotations

from starlette.requests import Request

from hotwhisk.gateway.api.authentication import gateway_of
from hotwhisk.gateway.page.rendering import PageError
from hotwhisk.gateway.store.actions import StoredAction
from hotwhisk.gateway.store.activations import StoredActivation
from hotwhisk.gateway.store.namespaces import Namespace


def find_action(request: Request, namespace: Namespace) -> StoredAction:
    """
    Return the current version of the action in the path: ``name`` or ``package/name``.

    Raises:
        PageError: there is none.
    """
    package, _, name = request.path_params["path"].rpartition("/")
    found = gateway_of(request).store.actions.get((namespace.name, package, name))
    if found is None:
        raise PageError(404, f"There is no action {request.path_params['path']}.")
    return found


def find_version(request: Request, action: StoredAction, text: str) -> StoredAction:
    """
    Return the version of an action whose revision the text is; the current one if it is empty.

    Raises:
        PageError: there is none.
    """
    if not text or text == str(action.revision):
        return action
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
    found = gateway_of(request).store.actions.version(number)
    if found is None or found.key != action.key:
        raise PageError(404, f"The action {action.path} has no such version.")
    return found


def find_activation(request: Request, namespace: Namespace, identifier: str) -> StoredActivation:
    """
    Return an activation.

    Raises:
        PageError: there is none.
    """
    found = gateway_of(request).store.activations.get(namespace.name, identifier)
    if found is None:
        raise PageError(404, "This activation still runs, or does not exist any more.")
    return found
