"""Activations: the list, one of them, and replays of it."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hotwhisk.artifact.kinds import SOURCE_ENTRY, Kind
from hotwhisk.gateway.api.authentication import gateway_of
from hotwhisk.gateway.page import calling, sessions
from hotwhisk.gateway.page.charts import time_bar
from hotwhisk.gateway.page.forms import form, number
from hotwhisk.gateway.page.found import find_activation
from hotwhisk.gateway.page.log_tracebacks import Traceback, find_tracebacks
from hotwhisk.gateway.page.rendering import PageError, view
from hotwhisk.gateway.page.source import file_text, read_source
from hotwhisk.gateway.store.actions import StoredAction
from hotwhisk.gateway.store.activations import ActivationQuery, StoredActivation
from hotwhisk.gateway.store.namespaces import Namespace
from hotwhisk.gateway.store.store import Store
from hotwhisk.platform.differences import Difference, differences

ON_PAGE: Final = 50
_IDENTIFIER: Final = re.compile(r"[0-9a-f]{32}")


def index(request: Request) -> Response:
    """List activations, filtered by a name and by whether they failed, a page at a time."""
    namespace = sessions.namespace_of(request)
    store = gateway_of(request).store
    text = request.query_params.get("name", "").strip()
    package, _, name = text.rpartition("/")
    only_errors = bool(request.query_params.get("errors"))
    number_of_page = max(1, number(request, "page", 1))
    query = ActivationQuery(
        namespace.name, name or None, package or None, only_errors=only_errors,
        limit=ON_PAGE, skip=ON_PAGE * (number_of_page - 1),
    )  # fmt: skip
    count = store.activations.count(query)
    fields = {"name": text, **({"errors": "on"} if only_errors else {})}
    return view(
        request, namespace, "activations.html", section="activations",
        found=store.activations.list(query), count=count, name=text, only_errors=only_errors,
        names=[each.path.partition("/")[2] for each in store.actions.list(namespace.name)],
        page=number_of_page, pages=-(-count // ON_PAGE), query=urlencode(fields),
    )  # fmt: skip


def show(request: Request) -> Response:
    """Show an activation."""
    namespace = sessions.namespace_of(request)
    store = gateway_of(request).store
    identifier = request.path_params["id"]
    found = store.activations.get(namespace.name, identifier)
    if found is None and _IDENTIFIER.fullmatch(identifier):
        return view(request, namespace, "running.html", 404, section="activations")
    found = find_activation(request, namespace, identifier)
    version = _own_version(store, namespace, found)
    current = None
    if version is not None:
        current = store.actions.get((version.namespace, version.package, version.name))
    return view(
        request, namespace, "activation.html", section="activations", activation=found,
        record=found.record, version=version, current=current, bar=_bar(found),
        tracebacks=_tracebacks(store, found, version),
        components=_components(store, namespace, found),
    )  # fmt: skip


async def replay(request: Request) -> Response:
    """Call an action again with the event of an activation, and show what is different."""
    fields = await form(request)
    namespace, activation, same, newest = await run_in_threadpool(_versions, request)
    event = activation.event if isinstance(activation.event, dict | list) else {}
    old, new = activation.id, activation.id
    which = fields.get("on")
    if which in ("same", "both"):
        new = await calling.call_and_wait(request, namespace, same, event)
    if which in ("newest", "both"):
        old = new
        new = await calling.call_and_wait(request, namespace, newest, event)
    return RedirectResponse(f"/compare?{urlencode({'old': old, 'new': new})}", 303)


def compare(request: Request) -> Response:
    """Show two activations beside each other."""
    namespace = sessions.namespace_of(request)
    pair = [
        find_activation(request, namespace, request.query_params.get(side, ""))
        for side in ("old", "new")
    ]
    old, new = pair
    return view(
        request, namespace, "compare.html", section="activations",
        sides=[(each, _bar(each)) for each in pair],
        differences=_differences(old, new), same_event=old.event == new.event,
    )  # fmt: skip


def _versions(
    request: Request,
) -> tuple[Namespace, StoredActivation, StoredAction, StoredAction]:
    """Return the activation, the version that it had, and the newest one."""
    namespace = sessions.namespace_of(request)
    activation = find_activation(request, namespace, request.path_params["id"])
    store = gateway_of(request).store
    same = _own_version(store, namespace, activation)
    newest = store.actions.get((same.namespace, same.package, same.name)) if same else None
    if same is None or newest is None:
        raise PageError(409, "The action was deleted, or belongs to another namespace.")
    return namespace, activation, same, newest


def _own_version(
    store: Store, namespace: Namespace, activation: StoredActivation
) -> StoredAction | None:
    """Return the version that ran, if its code is the reader's: others may share an action."""
    found = None if activation.revision is None else store.actions.version(activation.revision)
    return found if found is not None and found.namespace == namespace.name else None


def _differences(old: StoredActivation, new: StoredActivation) -> list[Difference]:
    try:
        return differences(old.record, new.record)
    except RecursionError:
        return [Difference("result", ("They are nested too deeply to be compared.",))]


def _components(
    store: Store, namespace: Namespace, activation: StoredActivation
) -> list[StoredActivation]:
    """Return the parts of a sequence: its log has their identifiers and nothing else."""
    lines = activation.record["logs"]
    if not all(_IDENTIFIER.fullmatch(line) for line in lines):
        return []
    found = (store.activations.get(namespace.name, line) for line in lines)
    return [each for each in found if each is not None]


def _bar(activation: StoredActivation) -> object:
    wait, init = activation.annotation("waitTime") or 0, activation.annotation("initTime")
    return time_bar(wait, init, activation.record["duration"])


def _tracebacks(
    store: Store, activation: StoredActivation, version: StoredAction | None
) -> list[Traceback]:
    digest = version.digest if version is not None else None
    code = store.actions.code(digest) if digest is not None else None
    found = find_tracebacks(
        activation.record["logs"], lambda name: None if code is None else file_text(code, name)
    )
    if version is not None and code is not None and read_source(code).kind is Kind.SOURCE:
        for frame in (each for traceback in found for each in traceback.frames):
            if frame.file == SOURCE_ENTRY:  # the platform's name; the user knows the action's
                frame.file = f"{version.name}.py"
    return found
