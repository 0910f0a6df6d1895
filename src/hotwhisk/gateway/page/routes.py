"""Every route of the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ExceptionHandler

from hotwhisk.gateway.page import action, actions, activations, entities, live, login
from hotwhisk.gateway.page.origins import OwnOrigin
from hotwhisk.gateway.page.rendering import (
    PageError,
    on_login_needed,
    on_page_error,
    on_unknown_path,
)
from hotwhisk.gateway.page.sessions import LoginNeeded

EXCEPTION_HANDLERS: Final[dict[Any, ExceptionHandler]] = {
    404: on_unknown_path,
    LoginNeeded: on_login_needed,
    PageError: on_page_error,
}


def routes() -> list[BaseRoute]:
    """Return the routes of the page, which begin at ``/``."""
    return [
        Route("/", actions.index),
        Route("/actions", actions.index),
        Route("/actions/", actions.index),
        Route("/actions/{path:path}", action.show),
        _form("/invoke/{path:path}", action.invoke),
        _form("/roll-back/{path:path}", action.roll_back),
        _form("/measure/{path:path}", action.measure),
        Route("/activations", activations.index),
        Route("/activations/{id}", activations.show),
        _form("/activations/{id}/replay", activations.replay),
        Route("/compare", activations.compare),
        Route("/triggers", entities.index),
        Route("/login", login.show, methods=["GET"]),
        Route("/login", login.post, methods=["POST"]),
        _form("/logout", login.leave),
        Route("/live", live.stream),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
    ]


def _form(path: str, endpoint: Callable[..., Any]) -> Route:
    """Return the route of a form, which only our own pages may send."""
    return Route(path, endpoint, methods=["POST"], middleware=[Middleware(OwnOrigin)])
