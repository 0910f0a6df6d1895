"""Run the commands on the data of ``hotwhisk up``: keys, backup, export."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from hotwhisk.cli.terminal import Arguments
from hotwhisk.errors import UsageError
from hotwhisk.gateway.data_folder import open_data
from hotwhisk.gateway.export.export import SCRIPT, export
from hotwhisk.gateway.names import is_name
from hotwhisk.gateway.options import data_folder
from hotwhisk.gateway.settings import DEFAULT_NAMESPACE, Settings, default_data
from hotwhisk.gateway.store.store import Store

HELP = """\
  hotwhisk up key [NAME] [--new]   print the key of a namespace (guest), which is made if it is
                                   missing; --new replaces the key
  hotwhisk up keys                 list the namespaces that have a key
  hotwhisk up backup FILE          copy the database to FILE
  hotwhisk up export FOLDER [--namespace NAME]
                                   write a namespace (guest) as files, and as a script of wsk
                                   commands that makes it again on any OpenWhisk"""


class _Command(NamedTuple):
    """A command that may follow ``up``: its parser of arguments, and what it does with them."""

    parser: Callable[[], Arguments]
    run: Callable[[argparse.Namespace, Mapping[str, str]], int]


def run(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one of `COMMANDS`, which is the first word; return the exit code."""
    command = COMMANDS[argv[0]]
    return command.run(command.parser().parse(argv[1:]), environ)


def _key_parser() -> Arguments:
    parser = _parser("key [NAME] [--new] [--data FOLDER]", "Print the key of a namespace.")
    parser.add_argument(
        "name", nargs="?", default=DEFAULT_NAMESPACE, metavar="NAME",
        help="the namespace (guest); it is made if it is missing",
    )  # fmt: skip
    parser.add_argument("--new", action="store_true", help="replace the key; the old one is void")
    return parser


def _key(given: argparse.Namespace, environ: Mapping[str, str]) -> int:
    if not is_name(given.name):
        raise UsageError(
            f'"{given.name}" cannot be the name of a namespace: expected letters, digits and '
            "_ @ . & -, beginning with a letter, a digit or _"
        )
    data = data_folder(given.data, environ)
    if data != default_data(environ) and not os.path.isdir(data):
        raise UsageError(
            f"there is no folder {data}: hotwhisk up --data {shlex.quote(data)} makes it, "
            "and without --data the default one is used"
        )
    with _store(given, environ) as store:
        known = {each.name for each in store.namespaces.all()}
        change = store.namespaces.renew if given.new else store.namespaces.ensure
        namespace = change(given.name)
    if given.name not in known:
        print(f"hotwhisk: the namespace {given.name} is new", file=sys.stderr)
    print(namespace.auth)
    return 0


def _keys_parser() -> Arguments:
    return _parser("keys [--data FOLDER]", "List the namespaces that have a key.")


def _keys(given: argparse.Namespace, environ: Mapping[str, str]) -> int:
    with _store(given, environ, must_exist=True) as store:
        for namespace in store.namespaces.all():
            print(namespace.name)
    return 0


def _backup_parser() -> Arguments:
    parser = _parser("backup FILE [--data FOLDER]", "Copy the database, also while it is used.")
    parser.add_argument("file", metavar="FILE", help="the copy; it must not exist")
    return parser


def _backup(given: argparse.Namespace, environ: Mapping[str, str]) -> int:
    with _store(given, environ, must_exist=True) as store:
        store.database.backup(given.file)
    size = os.stat(given.file).st_size
    print(f"hotwhisk: {given.file} has {size / 1e6:.1f} MB, keys included", file=sys.stderr)
    return 0


def _export_parser() -> Arguments:
    parser = _parser(
        "export FOLDER [--namespace NAME] [--data FOLDER]",
        "Write a namespace as files, and as a script of wsk commands that makes it again.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="where to write; it must be empty")
    parser.add_argument(
        "--namespace", default=DEFAULT_NAMESPACE, metavar="NAME", help="the namespace (guest)"
    )
    return parser


def _export(given: argparse.Namespace, environ: Mapping[str, str]) -> int:
    with _store(given, environ, must_exist=True) as store:
        done = export(store, given.namespace, given.folder)
    counts = ", ".join(_counted(kind, number) for kind, number in done.counts.items())
    print(f"hotwhisk: exported {counts or 'nothing'}", file=sys.stderr)
    print(f"hotwhisk: next: {os.path.join(given.folder, SCRIPT)}", file=sys.stderr)
    return 0


def _counted(kind: str, number: int) -> str:
    return f"{number} {kind.removesuffix('s') if number == 1 else kind}"


COMMANDS = {
    "key": _Command(_key_parser, _key),
    "keys": _Command(_keys_parser, _keys),
    "backup": _Command(_backup_parser, _backup),
    "export": _Command(_export_parser, _export),
}


def _parser(usage: str, description: str) -> Arguments:
    parser = Arguments("up", usage)
    parser.prog += f" {usage.split(maxsplit=1)[0]}"
    parser.description = description
    parser.add_argument("--data", metavar="FOLDER", help="folder of the database")
    return parser


@contextmanager
def _store(
    given: argparse.Namespace, environ: Mapping[str, str], *, must_exist: bool = False
) -> Iterator[Store]:
    """Open the database that the flags name."""
    settings = Settings(data_folder(given.data, environ))
    if must_exist and not os.path.exists(settings.database):
        raise UsageError(
            f"there is no database in {settings.data}: hotwhisk up makes it, "
            "and --data FOLDER names another folder"
        )
    open_data(settings.data)
    store = Store(settings.database)
    try:
        yield store
    finally:
        store.close()
