"""The routes of activations: list, get, logs, result."""

from __future__ import annotations

from starlette.responses import Response

from hotwhisk.gateway.api.endpoint import ApiRequest
from hotwhisk.gateway.api.errors import NOT_FOUND, ApiError, JsonResponse, malformed_query
from hotwhisk.gateway.api.reading import Page, flag, moment
from hotwhisk.gateway.store.activations import ActivationQuery, StoredActivation
from hotwhisk.platform.logs import without_spaces

_ID_LENGTH = 32


def list_all(given: ApiRequest) -> Response:
    """Return activations, the newest first; with ``docs=true`` as a whole."""
    request = given.request
    page = Page.of(request, "activations")
    package, name = _name(request.query_params.get("name", ""))
    query = ActivationQuery(
        given.check_owner(),
        name=name,
        package=package,
        since=moment(request, "since"),
        upto=moment(request, "upto"),
        limit=page.limit,
        skip=page.skip,
    )
    docs = flag(request, "docs")
    if page.count:
        if docs:
            raise ApiError(400, "The parameter 'docs' is not permitted with 'count'.")
        number = given.store.activations.count(query)
        return JsonResponse({"activations": max(0, number - page.skip)})
    found = given.store.activations.list(query)
    return JsonResponse([shown(each) if docs else _summary(each) for each in found])


def get(given: ApiRequest) -> Response:
    """Return an activation with its logs."""
    return JsonResponse(shown(_find(given)))


def logs(given: ApiRequest) -> Response:
    """Return the logs of an activation."""
    return JsonResponse({"logs": shown(_find(given))["logs"]})


def result(given: ApiRequest) -> Response:
    """Return the result of an activation."""
    return JsonResponse(_find(given).record["response"])


def _name(text: str) -> tuple[str | None, str | None]:
    """Return package and name of a filter: a name alone means the default package."""
    parts = text.strip().split("/")
    if len(parts) > 2 or (not all(parts) and parts != [""]):
        reason = f"Parameter may be a 'simple' name or 'package-name/simple' name: {text}"
        raise malformed_query("name", reason)
    if parts == [""]:
        return None, None
    return ("", parts[0]) if len(parts) == 1 else (parts[0], parts[1])


def _find(given: ApiRequest) -> StoredActivation:
    namespace = given.check_owner()
    identifier = given.request.path_params["id"]
    if len(identifier) != _ID_LENGTH:
        length = len(identifier)
        raise ApiError(400, f"Activation id length is {length} but must be {_ID_LENGTH}.")
    if not all(digit in "0123456789abcdef" for digit in identifier):
        raise ApiError(400, "The activation id is not valid.")
    found = given.store.activations.get(namespace, identifier)
    if found is None:
        raise ApiError(404, NOT_FOUND)
    return found


def shown(activation: StoredActivation) -> dict[str, object]:
    """Return an activation as the API shows it: without spaces around the lines of its log."""
    logs = [without_spaces(line) for line in activation.record["logs"]]
    return {**activation.record, "logs": logs}


def _summary(activation: StoredActivation) -> dict[str, object]:
    left_out = ("response", "logs", "subject")
    record = {key: value for key, value in activation.record.items() if key not in left_out}
    return {**record, "statusCode": activation.record["response"]["statusCode"]}
