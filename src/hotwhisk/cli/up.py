"""Run ``hotwhisk up``: OpenWhisk's API on this machine, in front of one server per action."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hotwhisk.cli.terminal import Arguments
from hotwhisk.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hotwhisk.gateway.gateway import Gateway


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Serve until a signal comes; return the exit code."""
    try:
        from hotwhisk.gateway import server
    except ModuleNotFoundError as error:
        if str(error.name).startswith("hotwhisk"):
            raise
        raise UsageError(
            f"hotwhisk up needs the library {error.name}: pip install '.[up]' in a clone of hotwhisk"
        ) from None
    from hotwhisk.gateway.settings import DEFAULT_PORT, Settings, default_data

    parser = Arguments("up", "[OPTION]...")
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on"
    )
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, metavar="PORT", help="port to listen on (3233)"
    )
    parser.add_argument(
        "--data", default=default_data(environ), metavar="FOLDER", help="folder of the database"
    )
    parser.add_argument(
        "--name", action="append", default=[], metavar="NAME",
        help="host name by which clients reach this machine, such as that of a proxy before it",
    )  # fmt: skip
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    given = parser.parse(argv)
    settings = Settings(given.data, given.host, given.port, names=tuple(given.name))
    return server.serve(settings, environ, _open if given.open else _announce)


def _open(gateway: Gateway) -> None:
    from hotwhisk.gateway.page.opening import open_page
    from hotwhisk.gateway.settings import DEFAULT_NAMESPACE

    _announce(gateway)
    open_page(gateway.settings, gateway.store.namespaces.ensure(DEFAULT_NAMESPACE))


def _announce(gateway: Gateway) -> None:
    settings = gateway.settings
    print(
        f"hotwhisk: OpenWhisk's API and page on {settings.url} · data in {settings.data}",
        file=sys.stderr,
        flush=True,
    )
