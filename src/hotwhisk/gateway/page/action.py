"""One action: its code, its versions, its times, and a form that invokes it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hotwhisk.build.import_profile import Import
from hotwhisk.errors import BuildFailed, StartError
from hotwhisk.gateway.api.authentication import gateway_of
from hotwhisk.gateway.page import calling, sessions
from hotwhisk.gateway.page.charts import import_chart, latency_plot
from hotwhisk.gateway.page.forms import form
from hotwhisk.gateway.page.found import find_action, find_version
from hotwhisk.gateway.page.highlight import highlight
from hotwhisk.gateway.page.rendering import PageError, path, view
from hotwhisk.gateway.page.source import content_of, read_source
from hotwhisk.gateway.store.actions import StoredAction
from hotwhisk.gateway.store.activations import ActivationQuery
from hotwhisk.gateway.store.namespaces import Namespace

MOST_VERSIONS: Final = 30
MOST_POINTS: Final = 200
MOST_EVENTS: Final = 6
MOST_CALLS: Final = 12


def show(request: Request) -> Response:
    """Show an action; ``version`` in the query is a revision, ``event`` an activation's id."""
    namespace = sessions.namespace_of(request)
    return _show(request, namespace, find_action(request, namespace))


async def invoke(request: Request) -> Response:
    """Call the current version with the event of the form, and go to the activation."""
    fields = await form(request)
    namespace, action = await run_in_threadpool(_find, request)
    text = fields.get("event", "")
    try:
        event = calling.read_event(text)
        identifier = await calling.call_and_wait(request, namespace, action, event)
    except PageError as error:
        return await run_in_threadpool(
            _show, request, namespace, action, text=text, wrong=error.text
        )
    return RedirectResponse(f"/activations/{identifier}", 303)


async def roll_back(request: Request) -> Response:
    """Make a new version with the content of an earlier one."""
    fields = await form(request)
    action = await run_in_threadpool(_roll_back, request, fields.get("version", ""))
    return RedirectResponse(_address(action), 303)


async def measure(request: Request) -> Response:
    """Measure the imports of a version, and show it."""
    fields = await form(request)
    action = await run_in_threadpool(_measure, request, fields.get("version", ""))
    return RedirectResponse(f"{_address(action)}?version={action.revision}#imports", 303)


def _find(request: Request) -> tuple[Namespace, StoredAction]:
    namespace = sessions.namespace_of(request)
    return namespace, find_action(request, namespace)


def _show(
    request: Request,
    namespace: Namespace,
    action: StoredAction,
    *,
    text: str | None = None,
    wrong: str = "",
) -> Response:
    store = gateway_of(request).store
    key = action.key
    shown = find_version(request, action, request.query_params.get("version", ""))
    code = store.actions.code(shown.digest) if shown.digest else None
    source = read_source(code) if code is not None else None
    events = store.statistics.events(key, MOST_EVENTS)
    versions = store.actions.versions(key)
    return view(
        request, namespace, "action.html", 400 if wrong else 200, section="actions",
        action=action, action_path=action.local_path, shown=shown, source=source,
        lines=highlight(source.text) if source and source.text else [],
        versions=versions[:MOST_VERSIONS], more_versions=len(versions) - MOST_VERSIONS,
        events=events, text=_text(request, events) if text is None else text, wrong=wrong,
        plot=latency_plot(store.statistics.points(key, MOST_POINTS)),
        imports=_profile(request, shown), memory_method=gateway_of(request).memory.method,
        calls=store.activations.list(
            ActivationQuery(namespace.name, name=action.name, package=action.package, limit=MOST_CALLS)
        ),
    )  # fmt: skip


def _text(request: Request, events: list[tuple[str, object]]) -> str:
    """Return the text for the field of the event: the one that was chosen, or the last one."""
    wanted = request.query_params.get("event", "")
    chosen = next((event for identifier, event in events if identifier == wanted), None)
    if chosen is None:
        chosen = events[0][1] if events else {}
    return json.dumps(chosen, indent=2, ensure_ascii=False)


def _roll_back(request: Request, version: str) -> StoredAction:
    _, action = _find(request)
    earlier = find_version(request, action, version)
    actions = gateway_of(request).store.actions
    code = actions.code(earlier.digest) if earlier.digest else None
    return actions.put(action.key, earlier.document, code)


def _measure(request: Request, version: str) -> StoredAction:
    _, action = _find(request)
    wanted = find_version(request, action, version)
    if wanted.digest is None:
        raise PageError(400, "A sequence has no imports.")
    gateway = gateway_of(request)
    main = _main_of(wanted)
    code = gateway.store.actions.code(wanted.digest)
    if code is None:
        raise PageError(404, "The action was deleted.")
    megabytes = wanted.document["limits"]["memory"]
    try:
        imports = gateway.imports.measure(content_of(code), main, megabytes)
    except (BuildFailed, StartError) as error:
        if gateway.stopping.is_set():
            raise PageError(503, "The server is shutting down.") from None
        status = 422 if isinstance(error, BuildFailed) else 503
        raise PageError(status, f"Version {wanted.version} was not measured: {error}") from None
    gateway.store.import_profiles.put(wanted.digest, main, [asdict(each) for each in imports])
    return wanted


def _profile(request: Request, version: StoredAction) -> Any:
    """Return the chart of the imports of a version, if they have been measured."""
    if version.digest is None:
        return None
    kept = gateway_of(request).store.import_profiles.get(version.digest, _main_of(version))
    return None if kept is None else import_chart([_import(each) for each in kept])


def _import(document: dict[str, Any]) -> Import:
    parts = tuple(_import(each) for each in document["parts"])
    return Import(document["module"], document["milliseconds"], parts)


def _main_of(action: StoredAction) -> str:
    main: str = action.document["exec"].get("main") or "main"
    return main


def _address(action: StoredAction) -> str:
    return f"/actions/{path(action.package, action.name)}"
