"""Run ``hotwhisk up``: OpenWhisk's API on this machine, in front of one server per action."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from hotwhisk.cli import up_data
from hotwhisk.cli.terminal import Arguments, open_streams
from hotwhisk.config.options import is_loopback
from hotwhisk.config.suggestions import nearest
from hotwhisk.errors import UsageError
from hotwhisk.gateway.data_folder import running_address
from hotwhisk.gateway.log import log_event
from hotwhisk.gateway.options import OPTIONS, read_settings, warnings
from hotwhisk.gateway.settings import DEFAULT_NAMESPACE, Settings
from hotwhisk.gateway.store.store import Store
from hotwhisk.gateway.wskprops import write_wskprops, wskprops_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hotwhisk.config.option import Option
    from hotwhisk.gateway.gateway import Gateway

_OTHER_MACHINES = (
    "other machines reach this port: the API, the page and /metrics need a key; web actions, "
    "/healthz and /readyz need none. Nothing is encrypted: put a proxy with TLS before it"
)


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Serve until a signal comes, or run the command that follows ``up``; return the exit code."""
    word = argv[0] if argv else ""
    if word in up_data.COMMANDS:
        return up_data.run(argv, environ)
    if word and not word.startswith("-"):
        raise UsageError(f"hotwhisk up does not know {word}{_hint(word)}")
    open_streams()  # or the log would go to the file that got the number of standard error
    given = vars(parser().parse(argv))
    settings = read_settings({name: _joined(text) for name, text in given.items()}, environ)
    address = running_address(settings.data) if settings.wskprops else None
    if address is not None:
        return _point_wsk_at(address, settings, environ)
    return _serve(settings, environ)


def _hint(word: str) -> str:
    """Return what may be meant by a word that is no command of this one."""
    if word.endswith(".py") or os.path.isdir(word):
        return f"; did you mean hotwhisk dev {word}?"
    return nearest(word, up_data.COMMANDS) or "; hotwhisk up --help lists what it takes"


def add_options(parser: argparse.ArgumentParser, options: Sequence[Option]) -> None:
    """Add options as flags whose values stay texts, or lists of them."""
    for option in options:
        default = f" ({option.default})" if option.default not in ("", "no") else ""
        if option.is_switch:
            parser.add_argument(
                option.flag, action="store_const", const="yes", dest=option.name, help=option.help
            )
        else:
            parser.add_argument(
                option.flag,
                action="append" if option.is_list else "store",
                metavar=option.metavar,
                dest=option.name,
                help=option.help + default,
            )


def _joined(given: str | list[str] | None) -> str | None:
    """Return the text of a flag; a flag that was repeated is a list with commas."""
    return ",".join(given) if isinstance(given, list) else given


def parser() -> Arguments:
    """Return the parser of this command's arguments."""
    arguments = Arguments("up", "[OPTION]...")
    arguments.formatter_class = argparse.RawDescriptionHelpFormatter
    add_options(arguments, OPTIONS)
    arguments.epilog = (
        f"commands on the folder of data, also while the gateway runs:\n{up_data.HELP}\n\n"
        "every option is also a variable: --log-format is HOTWHISK_UP_LOG_FORMAT"
    )
    return arguments


def subcommands() -> dict[str, Arguments]:
    """Return the parser of each command that may follow ``up``."""
    return {name: command.parser() for name, command in up_data.COMMANDS.items()}


def _serve(settings: Settings, environ: Mapping[str, str]) -> int:
    try:
        from hotwhisk.gateway import server
    except ModuleNotFoundError as error:
        if str(error.name).startswith("hotwhisk"):
            raise
        raise UsageError(
            f"hotwhisk up needs the library {error.name}: pip install '.[up]' in a clone of hotwhisk"
        ) from None

    def announce(gateway: Gateway) -> None:
        _announce(gateway, environ)
        if settings.open:
            _open(gateway)

    return server.serve(settings, environ, announce)


def _open(gateway: Gateway) -> None:
    from hotwhisk.gateway.page.opening import open_page

    open_page(gateway.settings, gateway.store.namespaces.ensure(DEFAULT_NAMESPACE))


def _announce(gateway: Gateway, environ: Mapping[str, str]) -> None:
    settings, url = gateway.settings, gateway.settings.url
    log_event(
        f"OpenWhisk's API and page on {url} · data in {_short(settings.data, environ)}",
        url=url,
        data=settings.data,
    )
    if settings.wskprops:
        path = wskprops_path(environ)
        auth = gateway.store.namespaces.ensure(DEFAULT_NAMESPACE).auth
        kept = _kept(write_wskprops(path, url, auth), environ)
        log_event(f"for wsk: address and key are in {_short(path, environ)}{kept}")
    else:
        log_event(
            f'for wsk: wsk property set --apihost {url} --auth "$({settings.key_command})"     '
            f"(or: hotwhisk up --wskprops{settings.data_flag})"
        )
    if not is_loopback(settings.host):
        log_event(_OTHER_MACHINES)
    for warning in warnings(environ):
        log_event(warning)


def _point_wsk_at(url: str, settings: Settings, environ: Mapping[str, str]) -> int:
    """Write the address and the key of a gateway that runs already."""
    path = wskprops_path(environ)
    store = Store(settings.database)
    try:
        copy = write_wskprops(path, url, store.namespaces.ensure(DEFAULT_NAMESPACE).auth)
    finally:
        store.close()
    done = f"{_short(path, environ)} is for {url}, which runs already{_kept(copy, environ)}"
    print(f"hotwhisk: {done}", file=sys.stderr)
    return 0


def _kept(copy: str, environ: Mapping[str, str]) -> str:
    """Return the end of a line that says where the file with another key was copied."""
    return f"; what was there is in {_short(copy, environ)}" if copy else ""


def _short(path: str, environ: Mapping[str, str]) -> str:
    """Return a path with ``~`` for the home folder."""
    home = environ.get("HOME", "").rstrip(os.sep) + os.sep
    return f"~/{path.removeprefix(home)}" if len(home) > 1 and path.startswith(home) else path
