"""
Declare every option of ``hotwhisk serve`` once, and read them.

Strategy. The port must be open before large modules are imported, so the host and the port must be
known before ``argparse`` could be imported. Two readers of one command line, a quick one for the
port and a full one for the rest, can disagree about what ``--port --host`` means. So there is one
reader, small enough for the quick path: this module imports almost nothing, and
`hotwhisk.config.config` builds the frozen Config from what it finds. The flags, the variables,
``--help``, ``--show-config`` and the test that the reference page names everything all use
`OPTIONS`.

Grammar: ``--name VALUE``, ``--name=VALUE``, a switch ``--name`` or ``--no-name``, ``--`` before a
file whose name begins with a dash, and at most one FILE. The last one given is used. A flag is used
before a variable, a variable before the default. A list is given by commas or by repeating the
flag.
"""

from __future__ import annotations

from hotwhisk.config.option import (
    PREFIX,
    Option,
    bounds,
    count,
    log_format,
    maybe_address,
    maybe_count,
    maybe_descriptor,
    maybe_probation,
    port,
    seconds,
    seconds_or_none,
    switch,
    text,
    words,
)

TYPE_CHECKING = False  # the real one would import typing, 3 ms before the port is open
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

CLIENT_VARIABLES = (PREFIX + "URL",)
SHOW = ("help", "show-config")
TERMINATION_LOG = "/dev/termination-log"

OPTIONS = (
    Option("host", "ADDRESS", text, "address to listen on",
           default="127.0.0.1", openwhisk="0.0.0.0"),
    Option("port", "PORT", port,
           "port to listen on; 0 takes any free one; the plain profile also reads PORT",
           default="8080", also="PORT"),
    Option("openwhisk", "", switch, "follow the OpenWhisk platform to the letter", default="no"),
    Option("cloudevents", "", switch, "take CloudEvents on POST / too, and answer the probes of "
           "Knative; not with --openwhisk", default="no"),
    Option("main", "NAME", text, "name of the handler in FILE; the plain profile also reads "
           "FUNCTION_TARGET", default="main", also="FUNCTION_TARGET"),
    Option("module", "NAME", text, "serve an importable module instead of FILE"),
    Option("workers", "MIN..MAX", bounds, "processes that answer; more than MIN while requests "
           "wait behind others' runs", default="1", openwhisk="1..32"),
    Option("fresh", "", switch, "a process of its own for each run; MIN of --workers stand ready",
           default="no"),
    Option("preload", "NAMES", words, "libraries to import once, before any worker is forked"),
    Option("faster_json", "", switch, "use orjson for large JSON, if it is installed", default="yes"),
    Option("watch", "", switch, "replace the current version when FILE changes", default="no"),
    Option("strict", "", switch, "end if FILE does not load at the start", default="no"),
    Option("timeout", "SECONDS", seconds_or_none, "longest run of a request without a deadline",
           default="60", openwhisk="none"),
    Option("init_timeout", "SECONDS", seconds,
           "longest time from /init until the new version is ready",
           default="60", openwhisk="300"),
    Option("drain_timeout", "SECONDS", seconds,
           "how long a stop waits for the requests that are running", default="25"),
    Option("token_file", "PATH", text,
           "file with the token that each request must carry; needed off this machine"),
    Option("replace_token_file", "PATH", text,
           "file with the token that /init must carry; another token then only calls"),
    Option("allow_host", "NAMES", words, "names allowed in a Host header besides loopback"),
    Option("admin", "ADDRESS", maybe_address,
           "port, HOST:PORT or unix:PATH that answers /healthz, /readyz and /metrics"),
    Option("mcp", "", switch,
           "let agents call the action as a tool, at /mcp of a port of its own", default="no"),
    Option("mcp_port", "PORT", port, "port of --mcp; 0 takes any free one", default="8081"),
    Option("connections", "N", maybe_count, "most connections at a time "
           "(default: a third of the descriptors that the server itself leaves)"),
    Option("crash_count", "N", count, "deaths outside a request that roll a version back",
           default="3"),
    Option("crash_window", "SECONDS", seconds, "the time within which they count", default="10"),
    Option("probation", "LIMIT", maybe_probation, "time (60, 5m) or requests (500r) in which a new "
           "version is rolled back if it does worse than the one before"),
    Option("keep_previous", "", switch, "keep the workers of the version before until --probation "
           "is over, so that a roll-back loads nothing", default="no"),
    Option("run_dir", "FOLDER", text, "folder of the control socket and of unpacked versions "
           "(default: $XDG_RUNTIME_DIR/hotwhisk)"),
    Option("state", "FOLDER", text, "folder that keeps the versions that were current, so that a "
           "restart begins with the last one; not under --openwhisk"),
    Option("termination_log", "PATH", text,
           "file that gets one line when the server ends, if it is there",
           default=TERMINATION_LOG),
    Option("log_format", "FORMAT", log_format, "form of the log's lines: text or json",
           default="text"),
    Option("ready_fd", "N", maybe_descriptor,
           "descriptor that gets one newline when the port is served"),
)  # fmt: skip

BY_NAME = {option.name: option for option in OPTIONS}


class Found:
    """The words of the command line and environment: text and source of each option, and FILE."""

    __slots__ = ("file", "raw", "show")

    def __init__(self) -> None:
        self.file: str | None = None
        self.raw: dict[str, tuple[str, str]] = {}
        self.show: set[str] = set()

    def value(self, name: str) -> object:
        """Return the value of an option in its own type; an invalid text is a UsageError."""
        raw, source = self.raw[name]
        try:
            return BY_NAME[name].read(raw)
        except ValueError as error:
            _refuse(f'{source}: expected {error}, got "{raw}"')


def scan(argv: Sequence[str], environ: Mapping[str, str]) -> Found:
    """Read the arguments after ``serve`` and the environment."""
    found = Found()
    rest = list(argv)
    while rest:
        word = rest.pop(0)
        if word == "--":
            for file in rest:
                _take_file(found, file)
            break
        if word == "-h":
            word = "--help"
        if word.startswith("-") and word != "-":
            _take_flag(found, word, rest)
        else:
            _take_file(found, word)
    _take_environment(found, environ)
    return found


def address(found: Found) -> tuple[str, int]:
    """
    Return the host and the port to listen on.

    Raises:
        UsageError: other machines could post code there, and no token would stop them.
    """
    host, number = str(found.value("host") or "127.0.0.1"), found.value("port")
    assert isinstance(number, int)
    guards = ("openwhisk", "token_file", "replace_token_file", "cloudevents")
    if not any(map(found.value, guards)):
        require_loopback(host)
    return host, number


def require_loopback(host: str) -> None:
    """Refuse an address that other machines reach, in the plain profile without a token."""
    if not is_loopback(host):
        _refuse(
            f"--host {host} lets other machines post code, and posted code is run; "
            "give --token-file FILE (and --token-file to hotwhisk replace), "
            "or listen on 127.0.0.1, or use --openwhisk inside a container network"
        )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    parts = host.split(".")
    # The C library reads a number with a leading zero as octal: 0127.0.0.1 is 87.0.0.1.
    numeric = len(parts) == 4 and all(
        part.isascii() and part.isdigit() and part == str(int(part)) for part in parts
    )
    return host in ("localhost", "::1") or (numeric and int(parts[0]) == 127)


def _take_file(found: Found, word: str) -> None:
    if not word:
        _refuse("FILE is empty; expected a .py file, a folder, a zip or a built artifact")
    if found.file is not None:
        _refuse(f'serve takes one FILE, got "{found.file}" and "{word}"')
    found.file = word


def _take_flag(found: Found, word: str, rest: list[str]) -> None:
    flag, equals, given = word.partition("=")
    name = flag[2:].replace("_", "?").replace("-", "_") if flag.startswith("--") else "?"
    if name.replace("_", "-") in SHOW and not equals:
        found.show.add(name.replace("_", "-"))
        return
    denied = name.startswith("no_") and name[3:] in BY_NAME and BY_NAME[name[3:]].is_switch
    option = BY_NAME.get(name[3:] if denied else name)
    if option is None:
        from hotwhisk.config.suggestions import for_serve_option

        flags = [known.flag for known in OPTIONS] + ["--" + show for show in SHOW]
        _refuse(f"unknown option {flag}{for_serve_option(flag, flags)}")
    if option.is_switch:
        if equals:
            _refuse(f"{flag} takes no value; use {option.flag} or --no-{option.flag[2:]}")
        given = "no" if denied else "yes"
    elif not equals:
        if not rest or rest[0].startswith("--"):
            _refuse(f"{flag} needs a value: {flag} {option.metavar}")
        given = rest.pop(0)
    if option.is_list and option.name in found.raw:
        given = f"{found.raw[option.name][0]},{given}"
    found.raw[option.name] = (given, option.flag)


def _take_environment(found: Found, environ: Mapping[str, str]) -> None:
    for option in OPTIONS:
        if option.name not in found.raw and environ.get(option.variable):
            found.raw[option.name] = (environ[option.variable], option.variable)
    found.raw.setdefault("openwhisk", ("no", "default"))
    openwhisk = found.value("openwhisk")
    for option in OPTIONS:
        if option.name in found.raw:
            continue
        if option.also and not openwhisk and environ.get(option.also):
            found.raw[option.name] = (environ[option.also], option.also)
        else:
            found.raw[option.name] = (option.openwhisk if openwhisk else option.default, "default")


def _refuse(message: str) -> NoReturn:
    from hotwhisk.errors import UsageError

    raise UsageError(message)
