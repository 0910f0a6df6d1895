"""Write commands of ``wsk`` for a shell. The options are those of ``wsk`` 1.2."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

_HEAD: Final = """\
#!/bin/sh
# The namespace {namespace} of hotwhisk up. Say where it goes, then run this file:
#   wsk property set --apihost HOST --auth KEY
set -eu
cd "$(dirname "$0")"
refuse() {{
    echo "$0: $1; nothing was changed" >&2
    exit 1
}}
command -v wsk >/dev/null ||
    refuse "wsk is needed: https://github.com/apache/openwhisk-cli/releases"
props=${{WSK_CONFIG_FILE:-${{HOME:-}}/.wskprops}}
grep -qs '^APIHOST=.' "$props" && grep -qs '^AUTH=.' "$props" ||
    refuse "$props names no host and key: wsk property set --apihost HOST --auth KEY"
"""
_UPDATE: Final = """\
command -v curl >/dev/null || refuse "curl is needed, for what wsk has no option for"

# Set what wsk has no option for, with the address and the key that wsk uses.
update() {
    host=$(sed -n 's/^APIHOST=//p' "$props")
    case $host in http*) ;; *) host=https://$host ;; esac
    sed -n 's/^AUTH=\\(.*\\)/user = "\\1"/p' "$props" |
        curl --fail --silent --show-error --output /dev/null --config - --request PUT \\
            --header 'Content-Type: application/json' --data "@$2" \\
            "$host/api/v1/namespaces/_/$1?overwrite=true"
}
"""
_UPDATE_NAME: Final = "update"
_NATIVE: Final = "openwhisk/dockerskeleton"
"""The image of ``wsk action create --native``."""


def script(namespace: str, groups: Mapping[str, Iterable[str]]) -> str:
    """Return the whole script; ``groups`` has the commands of each kind of entity."""
    body = ""
    for kind, lines in groups.items():
        if lines := list(lines):
            body += "\n".join((f"\n# {kind}", *lines)) + "\n"
    needs_update = f"\n{_UPDATE_NAME} " in body
    return _HEAD.format(namespace=namespace) + (_UPDATE if needs_update else "") + body


def wsk(*words: str) -> str:
    """Return a command of ``wsk``."""
    return shlex.join(("wsk", *words))


def update(path: str, file: str) -> str:
    """Return the command that sends a file of JSON to an entity."""
    return shlex.join((_UPDATE_NAME, quote(path), file))


def execution(given: Mapping[str, Any]) -> list[str]:
    """Return the options for the kind of an action and for its handler."""
    words = ["--main", given["main"]] if given.get("main") else []
    if given["kind"] != "blackbox":
        return [*words, "--kind", given["kind"]]
    image = given.get("image", _NATIVE)
    return [*words, *(("--native",) if image == _NATIVE else ("--docker", image))]


def limits(given: Mapping[str, int]) -> list[str]:
    """Return the options for the limits of an action."""
    names = {
        "timeout": "timeout",
        "memory": "memory",
        "logs": "logsize",
        "concurrency": "concurrency",
    }
    return [
        word
        for name, option in names.items()
        if name in given
        for word in (f"--{option}", str(given[name]))
    ]
