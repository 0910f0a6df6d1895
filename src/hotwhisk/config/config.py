"""
Make the configuration of a server from the command line and the environment.

`read_config` is a pure function: it is given both and returns a frozen value, which is passed whole
to everything that needs a part of it. The table of flags and their variables is in
`hotwhisk.config.options`, the variables of the platform are in `hotwhisk.config.platform`.
"""

from __future__ import annotations

from hotwhisk.config.option import PREFIX, UP_PREFIX, Address, Bounds, Option, ProbationLimit
from hotwhisk.config.options import (
    CLIENT_VARIABLES,
    OPTIONS,
    TERMINATION_LOG,
    is_loopback,
    require_loopback,
    scan,
)
from hotwhisk.config.platform import (
    TAG_VARIABLE,
    Profile,
    platform_settings,
)
from hotwhisk.config.tokens import Tokens
from hotwhisk.errors import UsageError
from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NO_LIMIT = float("inf")
MOST_WORKERS = 239
"""
Most workers of one version.

The workers of two versions fit into the scoreboard, beside the slots that are kept free; tested.
"""
MOST_WORKERS_KEPT = 159
"""The same with ``--keep-previous``, where the workers of three versions fit; tested."""

FRESH_WORKERS = Bounds(2, 16)
"""The default of ``--workers`` with ``--fresh``: a run begins while the worker after it starts."""
_FIELD_OF = {"allow_host": "hosts"}
WILDCARDS = ("0.0.0.0", "::", "")


class Config(Record):
    """The settings that a server gets before it starts."""

    host: str = "127.0.0.1"
    port: int = 8080
    openwhisk: bool = False
    cloudevents: bool = False
    """Whether CloudEvents are taken on ``POST /``."""
    file: str | None = None
    """What to serve at once: a .py file, a folder with __main__.py, a zip, a built artifact."""
    module: str | None = None
    """What to serve instead of a file: the name of an importable module."""
    main: str = "main"
    workers: Bounds = Bounds(1, 1)
    fresh: bool = False
    """Whether each run has a process of its own."""
    preload: tuple[str, ...] = ()
    faster_json: bool = True
    watch: bool = False
    strict: bool = False
    timeout: float = 60.0
    """Seconds for a run without a deadline; `NO_LIMIT` for none."""
    init_timeout: float = 60.0
    drain_timeout: float = 25.0
    token_file: str | None = None
    replace_token_file: str | None = None
    tokens: Tokens = Tokens()
    """
    The digests of the tokens that the files hold.

    `with_tokens` sets it, because a pure function cannot read a file.
    """
    hosts: tuple[str, ...] = ()
    """Names that a Host header may have besides loopback, in lower case."""
    admin: Address | None = None
    """Where ``/healthz``, ``/readyz`` and ``/metrics`` are answered; nowhere if None."""
    mcp: bool = False
    mcp_port: int = 8081
    connections: int | None = None
    crash_count: int = 3
    crash_window: float = 10.0
    probation: ProbationLimit | None = None
    """How long a new version is compared with the one before; None: it is not."""
    keep_previous: bool = False
    """Whether the workers of the version before are kept until the probation is over."""
    run_dir: str | None = None
    state: str | None = None
    """The state folder; None under OpenWhisk, where the platform decides what a container runs."""
    termination_log: str | None = TERMINATION_LOG
    log_format: str = "text"
    """``json``: all that the server and the action print is written as JSON, to stdout."""
    ready_fd: int | None = None
    reinit: bool = True
    """Whether a second /init replaces; under OpenWhisk a variable of the platform must allow it."""
    concurrency: bool = True
    """Whether async handlers may overlap in one worker; OpenWhisk can forbid it."""
    log_init_error: bool = True
    """Under OpenWhisk: details of a failed /init go to the log, a general text to the caller."""
    execution_env: str | None = None
    """Under OpenWhisk: what ``exec.env`` of a precompiled action must contain."""
    wait_for_ack: bool = False
    """Under OpenWhisk: whether a program reports itself that it is ready."""
    compiler: str | None = None
    """Under OpenWhisk: the command that makes programs of code that is not Python."""
    save_jar: str | None = None
    """Under OpenWhisk: the name under which that compiler gets a Java archive, unopened."""
    streamer: bool = True
    """Under OpenWhisk: whether an event may name a streamer, which gets the parts of an answer."""
    notify_socket: str | None = None
    """The socket on which systemd waits for readiness."""
    warnings: tuple[str, ...] = ()
    """Texts about settings that look like a mistake but do not stop the server."""

    @property
    def may_leave_loopback(self) -> bool:
        """Return whether other machines may reach the server: they cannot just post code."""
        return self.openwhisk or self.has_token_file

    @property
    def has_token_file(self) -> bool:
        """Return whether requests must carry a token."""
        return bool(self.token_file or self.replace_token_file)

    @property
    def takes_no_code(self) -> bool:
        """Return whether other machines send events without a token, so that ``/init`` is shut."""
        return self.cloudevents and not (self.may_leave_loopback or is_loopback(self.host))

    @property
    def profile(self) -> Profile:
        """Return whose texts and statuses the server answers with."""
        return Profile.OPENWHISK if self.openwhisk else Profile.PLAIN

    @property
    def json_log(self) -> bool:
        """Return whether all lines of the log are JSON."""
        return self.log_format == "json"


def field_of(option: Option) -> str:
    """Return the name of the field that an option fills."""
    return _FIELD_OF.get(option.name, option.name)


def _complete() -> None:
    """
    Give `Config` a field for each option that it does not declare.

    So one row of `OPTIONS` is enough to add an option. `Config` declares a field only to give its
    type to the code that reads it.
    """
    for option in OPTIONS:
        name = field_of(option)
        if name not in Config.fields:
            setattr(Config, name, option.read(option.default))
            Config.fields = (*Config.fields, name)


_complete()


def read_config(
    argv: Sequence[str], environ: Mapping[str, str], *, bound: tuple[str, int] | None = None
) -> Config:
    """
    Read the arguments after ``serve`` and the environment.

    ``bound`` is the address of an inherited listener; it is used instead of host and port.

    Raises:
        UsageError: an argument or a variable is wrong.
    """
    found = scan(argv, environ)
    values = {field_of(option): found.value(option.name) for option in OPTIONS}
    if bound is not None:
        values["host"], values["port"] = bound
    values["host"] = values["host"] or "127.0.0.1"
    values["main"] = values["main"] or "main"
    values["hosts"] = _host_names(str(values["host"]), values["hosts"])  # type: ignore[arg-type]  # as above
    values["state"] = None if values["openwhisk"] else values["state"]
    values |= platform_settings(environ, openwhisk=bool(values["openwhisk"]))
    values |= {"file": found.file, "warnings": _warnings(environ)}
    config = Config(**values)  # type: ignore[arg-type]  # the table gives each its type; tested
    _check(config)
    if config.fresh:
        given = found.raw["workers"][1] != "default"
        return config if given else _changed(config, workers=FRESH_WORKERS)
    if config.openwhisk and not config.concurrency:
        least = config.workers.least
        return _changed(config, workers=Bounds(least, least))
    return config


def with_tokens(config: Config, tokens: Tokens) -> Config:
    """Return the configuration with the tokens of its files."""
    return _changed(config, tokens=tokens)


def with_text_log(config: Config) -> Config:
    """Return the configuration with a log of text."""
    return _changed(config, log_format="text")


def without_streamer(config: Config) -> Config:
    """Return the configuration of a server that no event makes connect to a streamer."""
    return _changed(config, streamer=False)


def with_port(config: Config, port: int) -> Config:
    """Return the configuration with the port that was really opened."""
    return _changed(config, port=port)


def default_run_dir(environ: Mapping[str, str], uid: int) -> str:
    """Return the default folder for sockets and unpacked versions."""
    own = environ.get("XDG_RUNTIME_DIR", "")
    return f"{own}/hotwhisk" if own.startswith("/") else f"/tmp/hotwhisk-{uid}"  # noqa: S108  # made 0700 and checked by its opener


def _host_names(host: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    own = () if host in WILDCARDS or is_loopback(host) else (host,)
    names = (f"[{name}]" if ":" in name and name[0] != "[" else name for name in (*allowed, *own))
    return tuple(dict.fromkeys(name.lower() for name in names))


def _warnings(environ: Mapping[str, str]) -> tuple[str, ...]:
    known = [option.variable for option in OPTIONS] + list(CLIENT_VARIABLES)
    ours = {name for name in environ if name.startswith(PREFIX) and not name.startswith(UP_PREFIX)}
    unknown = sorted(ours - {*known, TAG_VARIABLE})
    if not unknown:
        return ()
    from hotwhisk.config.suggestions import nearest  # only for a mistake

    return tuple(f"unknown variable {name} is ignored{nearest(name, known)}" for name in unknown)


def _check(config: Config) -> None:
    if config.file and config.module:
        raise UsageError("serve takes a FILE or --module NAME, not both")
    if config.watch and not (config.file or config.module):
        raise UsageError("--watch needs something to watch: hotwhisk serve --watch FILE")
    if config.strict and not (config.file or config.module):
        raise UsageError("--strict needs something to load: hotwhisk serve --strict FILE")
    if config.openwhisk and config.cloudevents:
        raise UsageError("--cloudevents cannot be used with --openwhisk: leave one of the two out")
    if config.openwhisk and config.json_log:
        raise UsageError(
            "--log-format json cannot be used with --openwhisk: there the platform reads the "
            "action's lines as they are; leave one of the two out"
        )
    _check_keep_previous(config)
    if config.workers.most > MOST_WORKERS:
        raise UsageError(
            f"--workers {config.workers}: expected at most {MOST_WORKERS}, so that a version and "
            "the one that takes its place fit side by side"
        )
    if not config.may_leave_loopback:
        if not config.takes_no_code:
            require_loopback(config.host)
        if config.admin and not config.admin.path and not is_loopback(config.admin.host):
            raise UsageError(
                f"--admin {config.admin} lets other machines read what the server does; give "
                "--token-file FILE, so that they need a token, or listen on 127.0.0.1"
            )


def _check_keep_previous(config: Config) -> None:
    if not config.keep_previous:
        return
    if config.probation is None:
        raise UsageError("--keep-previous keeps workers during --probation: give --probation too")
    if config.fresh:
        raise UsageError(
            "--keep-previous cannot be used with --fresh, whose workers serve one run each; leave "
            "one of the two out"
        )
    if config.workers.most > MOST_WORKERS_KEPT:
        raise UsageError(
            f"--workers {config.workers}: expected at most {MOST_WORKERS_KEPT} with "
            "--keep-previous, so that three versions fit side by side"
        )


def _changed(config: Config, **changes: object) -> Config:
    values = {name: getattr(config, name) for name in Config.fields}
    return Config(**{**values, **changes})
