"""The routes that describe the service: its root, the version of the API, the namespaces."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from hotwhisk import __version__
from hotwhisk.gateway.api import action_kinds, limits
from hotwhisk.gateway.api.endpoint import ApiRequest
from hotwhisk.gateway.api.errors import JsonResponse


def root(_: Request) -> Response:
    """Say which limits and which kinds of action there are. No key is needed."""
    return JsonResponse({**_described(), "description": "OpenWhisk"})


def version(_: Request) -> Response:
    """Say which version of the API this is, and the same as the root. No key is needed."""
    return JsonResponse(
        {
            **_described(),
            "description": "OpenWhisk API",
            "api_version": "1.0.0",
            "api_version_path": "v1",
            "build": "hotwhisk",
            "buildno": __version__,
            "swagger_paths": {},
        }
    )


def _described() -> dict[str, object]:
    return {
        "support": {"github": "https://github.com/apache/openwhisk/issues"},
        "api_paths": ["/api/v1"],
        "limits": limits.of_system(),
        "runtimes": action_kinds.runtimes(),
    }


def list_all(given: ApiRequest) -> Response:
    """Return the namespaces that the key opens: one."""
    return JsonResponse([given.caller.name])
