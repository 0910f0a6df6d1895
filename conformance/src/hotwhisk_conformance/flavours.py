"""
The same eight actions in three languages, which the basic cases post.

``python`` is source for a Python runtime. ``actionloop`` is an executable that reads a line for
each activation from its standard input and writes the result to descriptor 3. ``skeleton`` is an
executable that is started for each activation, has the argument as its first argument and on its
standard input, and whose last line of output is the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Flavour:
    """The actions of one kind of runtime, and the rules that it relaxes."""

    profile: str
    not_json: str
    idle: str
    echo: str
    other_main: str
    echo_and_print: str
    unicode: str
    environment: str
    init_environment: str | None
    """The action that shows it; None if ``env`` of ``/init`` is not passed on."""
    main_of_other: str = "niam"
    has_stub: bool = False
    """Whether an ``/init`` without code succeeds, because an action is baked in."""
    prints_result: bool = False
    """Whether results go through standard output, so that it need not be empty."""


_PYTHON: Final = Flavour(
    profile="python",
    not_json="""\
def main(args):
    return "a text is not a dictionary"
""",
    idle="""\
def main(args):
    return {}
""",
    echo="""\
def main(args):
    return args
""",
    other_main="""\
def niam(args):
    return args
""",
    echo_and_print="""\
import sys

def main(args):
    print("hello stdout")
    print("hello stderr", file=sys.stderr)
    return args
""",
    unicode="""\
def main(args):
    sep = args["delimiter"]
    text = sep + " ☃ " + sep
    print(text)
    return {"winter": text}
""",
    environment="""\
import os

def main(args):
    names = ("api_host", "api_key", "namespace", "action_name", "action_version",
             "activation_id", "deadline")
    return {name: os.environ["__OW_" + name.upper()] for name in names}
""",
    init_environment="""\
import os

SOME = os.environ["SOME_VAR"]
ANOTHER = os.environ["ANOTHER_VAR"]

def main(args):
    return {"SOME_VAR": SOME, "ANOTHER_VAR": ANOTHER}
""",
)

_LOOP: Final = """\
#!/bin/sh
if [ -n "$__OW_WAIT_FOR_ACK" ]; then echo '{"ok":true}' >&3; fi
while IFS= read -r line; do
"""
_VALUE: Final = """\
  value=$(printf '%s' "$line" | sed -e 's/^{ *"value" *: *//' -e 's/}$//')
"""
_MEMBER: Final = """\
  member() { printf '%s' "$line" | sed -n 's/.*"'"$1"'" *: *"\\([^"]*\\)".*/\\1/p'; }
"""

_ACTIONLOOP: Final = Flavour(
    profile="actionloop",
    not_json=_LOOP + "  echo '\"a text is not a dictionary\"' >&3\ndone\n",
    idle=_LOOP + "  echo '{}' >&3\ndone\n",
    echo=_LOOP + _VALUE + "  printf '%s\\n' \"$value\" >&3\ndone\n",
    other_main=_LOOP + _VALUE + "  printf '%s\\n' \"$value\" >&3\ndone\n",
    echo_and_print=(
        _LOOP
        + _VALUE
        + "  echo hello stdout\n  echo hello stderr >&2\n  printf '%s\\n' \"$value\" >&3\ndone\n"
    ),
    unicode=(
        _LOOP
        + _MEMBER
        + '  sep=$(member delimiter)\n  echo "$sep ☃ $sep"\n'
        + '  printf \'{"winter":"%s ☃ %s"}\\n\' "$sep" "$sep" >&3\ndone\n'
    ),
    environment=(
        _LOOP
        + _MEMBER
        + "  reply='{\"api_host\":\"'$__OW_API_HOST'\"'\n"
        + "  for name in api_key namespace action_name action_version activation_id deadline\n"
        + '  do reply="$reply,\\"$name\\":\\"$(member $name)\\""; done\n'
        + "  printf '%s\\n' \"$reply}\" >&3\ndone\n"
    ),
    init_environment=(
        _LOOP
        + '  printf \'{"SOME_VAR":"%s","ANOTHER_VAR":"%s"}\\n\' "$SOME_VAR" '
        + '"${ANOTHER_VAR-unset}" >&3\ndone\n'
    ),
)

_SKELETON: Final = Flavour(
    profile="skeleton",
    not_json="#!/bin/sh\necho not a json object\n",
    idle="#!/bin/sh\necho '{}'\n",
    echo="#!/bin/sh\ncat\necho\n",
    other_main="#!/bin/sh\nprintf '%s\\n' \"$1\"\n",
    echo_and_print=("#!/bin/sh\necho hello stdout\necho hello stderr >&2\nprintf '%s\\n' \"$1\"\n"),
    unicode="""\
#!/usr/bin/env python3
# -*- coding: utf-8 -*-
import json, sys
sep = json.loads(sys.argv[1])["delimiter"]
text = sep + " \\u2603 " + sep
out = open(1, "w", encoding="utf-8")
print(text, file=out)
print(json.dumps({"winter": text}), file=out, flush=True)
""",
    environment=(
        "#!/bin/sh\n"
        'printf \'{"api_host":"%s","api_key":"%s","namespace":"%s","action_name":"%s",'
        '"action_version":"%s","activation_id":"%s","deadline":"%s"}\\n\' '
        '"$__OW_API_HOST" "$__OW_API_KEY" "$__OW_NAMESPACE" "$__OW_ACTION_NAME" '
        '"$__OW_ACTION_VERSION" "$__OW_ACTIVATION_ID" "$__OW_DEADLINE"\n'
    ),
    init_environment=None,
    has_stub=True,
    prints_result=True,
)

FLAVOURS: Final = {each.profile: each for each in (_PYTHON, _ACTIONLOOP, _SKELETON)}
PROFILES: Final = (*FLAVOURS, "concurrency")
