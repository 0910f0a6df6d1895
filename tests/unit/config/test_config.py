from __future__ import annotations

import collections.abc
import contextlib
import subprocess
import sys
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotwhisk.config import config, option
from hotwhisk.config.config import Config, read_config
from hotwhisk.config.help import explain_config, serve_help
from hotwhisk.config.option import Option
from hotwhisk.config.options import BY_NAME, OPTIONS, address, scan
from hotwhisk.config.platform import worker_environment
from hotwhisk.errors import HotwhiskError, UsageError

FIELDS = set(Config.fields)
TEXTS = {
    option.text: ("a", "b"),
    option.words: ("a.example", "b.example"),
    option.switch: ("yes", "no"),
    option.port: ("9000", "9001"),
    option.log_format: ("text", "json"),
    option.count: ("5", "6"),
    option.maybe_address: ("9090", "unix:a.sock"),
    option.bounds: ("5", "6..7"),
    option.maybe_count: ("10", "20"),
    option.maybe_descriptor: ("4", "5"),
    option.maybe_probation: ("60s", "500r"),
    option.seconds: ("7", "8"),
    option.seconds_or_none: ("7", "8"),
}
"""Two values for each reader of an option, neither of them a default."""

OWN = {
    "host": ("127.0.0.2", "localhost"),
    "cloudevents": ("no", "yes"),
    "keep_previous": ("no", "yes"),
}
"""Values of options that are checked further than by their reader."""

EXTRA = {"watch": ["x.py"], "strict": ["x.py"], "keep_previous": ["--probation", "60"]}
"""What else an option needs."""

SAMPLES = {each.name: OWN.get(each.name, TEXTS[each.read]) for each in OPTIONS}


def field(name: str) -> str:
    return config.field_of(BY_NAME[name])


def flags(name: str, text: str) -> list[str]:
    dashed = name.replace("_", "-")
    if text in ("yes", "no"):
        return [f"--{dashed}" if text == "yes" else f"--no-{dashed}"]
    return [f"--{dashed}", text]


def test_config_declares_the_type_of_every_option() -> None:
    undeclared = [each.name for each in OPTIONS if field(each.name) not in Config.__annotations__]
    assert not undeclared, f"declare in Config, with type and default: {', '.join(undeclared)}"


def test_one_row_of_the_table_makes_an_option() -> None:
    row = 'Option("extra_time", "SECONDS", seconds, "more of it", default="3")'
    program = f"""
import hotwhisk.config.options as options
from hotwhisk.config.option import Option, seconds
row = {row}
options.OPTIONS = (*options.OPTIONS, row)
options.BY_NAME[row.name] = row
from hotwhisk.config.config import Config, read_config
from hotwhisk.config.help import explain_config, serve_help
print(Config().extra_time, read_config([], {{}}).extra_time)
print(read_config(["--extra-time", "500ms"], {{}}).extra_time)
print(read_config([], {{"HOTWHISK_EXTRA_TIME": "9"}}).extra_time)
print("extra_time 3 default" in " ".join(explain_config([], {{}}).split()))
print("--extra-time SECONDS" in serve_help(), read_config([], {{}}) == Config())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[:4] == ["3.0", "3.0", "0.5", "9.0"]
    assert done.stdout.endswith("True\nTrue True\n")


def test_the_defaults_of_the_table_are_those_of_the_class() -> None:
    assert read_config([], {}) == Config()


@pytest.mark.parametrize("arguments", [[], ["--openwhisk"]])
def test_every_value_has_the_type_that_its_field_declares(arguments: list[str]) -> None:
    known = vars(typing) | vars(collections.abc)
    hints = typing.get_type_hints(Config, localns=known)  # its module imports no typing
    for environ in ({}, {row.variable: SAMPLES[row.name][0] for row in OPTIONS}):
        values = read_config(arguments, environ)
        for name, hint in hints.items():
            if name not in Config.fields:
                continue
            kinds = typing.get_args(hint) if type(None) in typing.get_args(hint) else (hint,)
            classes = tuple(typing.get_origin(kind) or kind for kind in kinds)
            assert isinstance(getattr(values, name), classes), name


@pytest.mark.parametrize("name", [option.name for option in OPTIONS])
def test_a_flag_wins_over_its_variable_and_that_over_the_default(name: str) -> None:
    by_flag, by_variable = SAMPLES[name]
    extra = EXTRA.get(name, [])
    variable = {f"HOTWHISK_{name.upper()}": by_variable}
    plain = getattr(read_config(extra, {}), field(name))
    from_variable = getattr(read_config(extra, variable), field(name))
    from_flag = getattr(read_config([*flags(name, by_flag), *extra], variable), field(name))
    opposite = getattr(read_config([*flags(name, by_variable), *extra], {}), field(name))
    assert from_flag != from_variable
    assert from_variable == opposite
    assert by_variable == "no" or from_variable != plain


def test_port_is_honoured_below_our_own_variable_and_only_in_the_plain_profile() -> None:
    assert read_config([], {"PORT": "9"}).port == 9
    assert read_config([], {"PORT": "9", "HOTWHISK_PORT": "10"}).port == 10
    assert read_config(["--openwhisk"], {"PORT": "9"}).port == 8080


def test_an_empty_variable_is_none() -> None:
    assert read_config([], {"HOTWHISK_PORT": "", "PORT": ""}).port == 8080


def test_a_list_is_given_by_commas_or_by_repeating() -> None:
    assert read_config(["--preload", "a, b", "--preload=c"], {}).preload == ("a", "b", "c")


def test_a_flag_may_bear_its_value_or_be_followed_by_it() -> None:
    assert read_config(["--port=1"], {}) == read_config(["--port", "1"], {})


def test_after_two_dashes_a_file_may_begin_with_one() -> None:
    assert read_config(["--", "-x.py"], {}).file == "-x.py"


@pytest.mark.parametrize(
    ("given_text", "value"),
    [("1", 1), ("0.5", 0.5), ("500ms", 0.5), ("2m", 120), ("3s", 3), ("none", config.NO_LIMIT)],
)
def test_times_have_units(given_text: str, value: float) -> None:
    assert read_config(["--timeout", given_text], {}).timeout == value


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "x"], '--port: expected a port from 0 to 65535, got "x"'),
        (["--port", "-1"], "a port from 0 to 65535"),
        (["--port", "65536"], "a port from 0 to 65535"),
        (["--port", "٣"], "a port from 0 to 65535"),
        (["--port"], "--port needs a value: --port PORT"),
        (["--port", "--watch"], "--port needs a value"),
        (["--workers", "0"], "a whole number of at least 1"),
        (["--workers", "240"], "--workers 240: expected at most 239"),
        (["--timeout", "-1"], "a time above zero"),
        (["--timeout", "0"], "or none"),
        (["--timeout", "nan"], "a time above zero"),
        (["--init-timeout", "1e9"], "a time above zero"),
        (["--init-timeout", "."], "a time above zero"),
        (["--ready-fd", "1"], "at least 3"),
        (["--wrokers", "2"], "unknown option --wrokers; did you mean --workers?"),
        (["--init_timeout", "2"], "did you mean --init-timeout?"),
        (["-x"], "unknown option -x"),
        (["--no-port"], "unknown option --no-port"),
        (["--watch=yes", "a"], "--watch takes no value; use --watch or --no-watch"),
        (["a.py", "b.py"], 'one FILE, got "a.py" and "b.py"'),
        ([""], "FILE is empty"),
        (["--watch"], "--watch needs something to watch"),
        (["--strict"], "--strict needs something to load"),
        (["--cloudevents", "--openwhisk"], "cannot be used with --openwhisk"),
        (["--cloudevents", "--host", "0.0.0.0", "--admin", "0.0.0.0:1"], "give --token-file FILE"),
        (["a.py", "--module", "b"], "a FILE or --module NAME, not both"),
        (["--probation", "0r"], "a number of requests such as 500r"),
        (["--probation", "r"], "a number of requests such as 500r"),
        (["--probation", "none"], "a time such as 60, 90s or 5m"),
        (["--keep-previous"], "give --probation too"),
        (["--keep-previous", "--probation", "9", "--fresh"], "cannot be used with --fresh"),
        (["--keep-previous", "--probation", "9", "--workers", "160"], "expected at most 159"),
        (["--host", "0.0.0.0"], "posted code is run; give --token-file"),
        (["--host", "127.evil.example"], "--token-file"),
        (
            ["--admin", "x"],
            '--admin: expected a port of this machine, HOST:PORT or unix:PATH, got "x"',
        ),
        (["--admin", ":9090"], "HOST:PORT"),
        (["--admin", "unix:"], "HOST:PORT"),
        (["--admin", "::1:9090"], "HOST:PORT"),
        (["--admin", "127.0.0.1:65536"], "HOST:PORT"),
        (["--admin", "0.0.0.0:9090"], "--admin 0.0.0.0:9090 lets other machines read"),
        (["--admin", "[::]:9090"], "give --token-file FILE"),
    ],
)
def test_a_mistake_is_told_with_what_was_expected(arguments: list[str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_config(arguments, {})
    assert says in str(caught.value)


def test_a_mistake_in_a_variable_names_the_variable() -> None:
    with pytest.raises(UsageError, match=r"^HOTWHISK_PORT: expected a port"):
        read_config([], {"HOTWHISK_PORT": "x"})
    with pytest.raises(UsageError, match=r"^PORT: expected a port"):
        read_config([], {"PORT": "x"})


def test_an_unknown_variable_is_a_warning_that_names_the_nearest() -> None:
    warnings = read_config([], {"HOTWHISK_WORKRES": "2", "HOTWHISK_WORKER": "17"}).warnings
    assert warnings == (
        "unknown variable HOTWHISK_WORKRES is ignored; did you mean HOTWHISK_WORKERS?",
    )


@pytest.mark.parametrize(("value", "logged"), [(None, True), ("1", True), ("", False)])
def test_only_an_empty_variable_has_the_caller_told_why_an_init_failed(
    value: str | None, logged: bool
) -> None:
    environ = {} if value is None else {"OW_LOG_INIT_ERROR": value}
    assert read_config(["--openwhisk"], environ).log_init_error is logged


def test_another_host_is_allowed_with_a_token_or_under_openwhisk() -> None:
    assert read_config(["--host", "10.0.0.1", "--token-file", "t"], {}).hosts == ("10.0.0.1",)
    assert read_config(["--host", "0.0.0.0", "--token-file", "t"], {}).hosts == ()
    assert read_config(["--openwhisk"], {}).host == "0.0.0.0"
    assert read_config(["--host", "FD00::1", "--token-file", "t"], {}).hosts == ("[fd00::1]",)


def test_a_server_of_events_may_be_reached_without_a_token_and_then_takes_no_code() -> None:
    by_network = ["--cloudevents", "--host", "0.0.0.0"]
    assert address(scan(by_network, {}))[0] == "0.0.0.0"
    assert read_config(by_network, {}).takes_no_code
    assert read_config(["--cloudevents"], {}, bound=("0.0.0.0", 7)).takes_no_code
    assert not read_config(["--cloudevents"], {}).takes_no_code
    for name in ("--token-file", "--replace-token-file"):
        assert not read_config([*by_network, name, "t"], {}).takes_no_code


def misspellings(flag: str) -> set[str]:
    """Words that are one edit away from a flag: a letter less, more, another, or two swapped."""
    letters = "nosx-_=0"
    parts = [(flag[:at], flag[at:]) for at in range(len(flag) + 1)]
    less = {left + right[1:] for left, right in parts if right}
    swapped = {left + right[1] + right[0] + right[2:] for left, right in parts if len(right) > 1}
    other = {left + letter + right[1:] for left, right in parts if right for letter in letters}
    more = {left + letter + right for left, right in parts for letter in letters}
    return (less | swapped | other | more) - {flag}


@pytest.mark.parametrize("row", OPTIONS, ids=lambda row: row.name)
def test_no_option_one_edit_from_another_leaves_loopback(row: Option) -> None:
    value = SAMPLES[row.name][0]
    for word in misspellings(row.flag) | {row.flag[:end] for end in range(len(row.flag))}:
        for arguments in ([word, value, "hello.py"], [f"{word}={value}"]):
            try:
                host, _ = address(scan(arguments, {}))
            except UsageError:
                continue
            assert config.is_loopback(host), arguments


def test_an_address_of_the_network_is_refused_before_it_is_opened() -> None:
    for host in ("0.0.0.0", "::", "10.0.0.1", "0127.0.0.1"):
        with pytest.raises(UsageError, match="--token-file"):
            address(scan(["--host", host], {}))
        with pytest.raises(UsageError, match="--token-file"):
            address(scan([], {"HOTWHISK_HOST": host}))
        assert address(scan(["--host", host, "--token-file", "t"], {}))[0] == host


def test_an_inherited_listener_is_judged_by_its_own_address() -> None:
    assert read_config([], {}, bound=("127.0.0.1", 7)).port == 7
    with pytest.raises(UsageError, match="--token-file"):
        read_config([], {}, bound=("0.0.0.0", 7))


@pytest.mark.parametrize(
    ("environ", "reinit", "concurrency"),
    [
        ({}, False, True),
        ({"PROXY_ALLOW_REINIT": "1"}, True, True),
        ({"PROXY_ALLOW_REINIT": "0"}, False, True),
        ({"OW_DEBUG": "1"}, True, True),
        ({"__OW_ALLOW_CONCURRENT": ""}, False, True),
        ({"__OW_ALLOW_CONCURRENT": "False"}, False, False),
        ({"__OW_ALLOW_CONCURRENT": "true"}, False, True),
        ({"__OW_ALLOW_CONCURRENT": "false"}, False, False),
    ],
)
def test_the_platform_has_its_own_variables(
    environ: dict[str, str], reinit: bool, concurrency: bool
) -> None:
    values = read_config(["--openwhisk"], environ)
    assert (values.reinit, values.concurrency) == (reinit, concurrency)
    plain = read_config([], environ)
    assert (plain.reinit, plain.concurrency) == (True, True)


@pytest.mark.parametrize(
    ("arguments", "said", "workers"),
    [
        (["--openwhisk"], "true", "1..32"),
        (["--openwhisk"], "", "1..32"),
        (["--openwhisk"], "false", "1"),
        (["--openwhisk", "--workers", "2..8"], "True", "2..8"),
        (["--openwhisk", "--workers", "2..8"], "", "2..8"),
        (["--openwhisk", "--workers", "2..8"], "false", "2"),
        (["--openwhisk", "--workers", "1"], "true", "1"),
        (["--workers", "2..8"], "false", "2..8"),
        ([], "true", "1"),
    ],
)
def test_further_workers_start_unless_the_platform_or_the_operator_forbids_it(
    arguments: list[str], said: str, workers: str
) -> None:
    values = read_config(arguments, {"__OW_ALLOW_CONCURRENT": said})
    assert str(values.workers) == workers


@pytest.mark.parametrize("text", ["2..1", "..", "1..", "..3", "0..3", "1..2..3", "1-3", "a"])
def test_the_number_of_workers_is_one_number_or_two(text: str) -> None:
    with pytest.raises(UsageError, match=r"a whole number of at least 1, or two such as 1\.\.8"):
        read_config(["--workers", text], {})


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9090", "127.0.0.1:9090"),
        ("localhost:0", "127.0.0.1:0"),
        ("127.0.0.2:1", "127.0.0.2:1"),
        ("[::1]:9090", "[::1]:9090"),
        ("unix:/run/a:b.sock", "unix:/run/a:b.sock"),
    ],
)
def test_the_admin_address_is_of_this_machine(text: str, address: str) -> None:
    assert str(read_config(["--admin", text], {}).admin) == address


def test_an_admin_address_of_the_network_needs_a_token_or_openwhisk() -> None:
    arguments = ["--admin", "[::]:9090"]
    assert str(read_config([*arguments, "--token-file", "t"], {}).admin) == "[::]:9090"
    assert str(read_config([*arguments, "--openwhisk"], {}).admin) == "[::]:9090"


def test_variables_of_systemd_are_read() -> None:
    assert read_config([], {"NOTIFY_SOCKET": "@x"}).notify_socket == "@x"
    assert read_config([], {}).notify_socket is None


def test_a_replace_token_is_enough_for_other_machines() -> None:
    arguments = ["--host", "0.0.0.0", "--replace-token-file", "t"]
    assert read_config(arguments, {}).host == "0.0.0.0"
    assert address(scan(arguments, {}))[0] == "0.0.0.0"


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("127.0.0.1.example", False),
        ("127.a.b.c", False),
        ("0127.0.0.1", False),
    ],
)
def test_loopback(host: str, answer: bool) -> None:
    assert config.is_loopback(host) is answer


def test_where_the_sockets_are() -> None:
    assert config.default_run_dir({"XDG_RUNTIME_DIR": "/run/user/7"}, 7) == "/run/user/7/hotwhisk"
    assert config.default_run_dir({"XDG_RUNTIME_DIR": "odd"}, 7) == "/tmp/hotwhisk-7"


def test_under_openwhisk_there_is_no_state_folder() -> None:
    assert read_config(["--state", "s"], {}).state == "s"
    assert read_config(["--openwhisk", "--state", "s"], {"HOTWHISK_STATE": "s"}).state is None


def test_user_code_does_not_see_what_is_ours() -> None:
    environ = {"NOTIFY_SOCKET": "x", "LISTEN_FDS": "1", "HOTWHISK_TOKEN_FILE": "t", "HOME": "/"}
    worker_environment(environ, "TAG", 9)
    assert environ == {"HOME": "/", "TAG": "9"}


def test_show_config_says_where_each_value_is_from() -> None:
    shown = explain_config(["--port", "1", "a.py"], {"HOTWHISK_WORKERS": "2"})
    rows = {line.split()[0]: line.split()[1:] for line in shown.splitlines()}
    assert rows["file"] == ["a.py", "argument"]
    assert rows["port"] == ["1", "--port"]
    assert rows["workers"] == ["2", "HOTWHISK_WORKERS"]
    assert rows["timeout"] == ["60", "default"]
    assert {field(name) if name in BY_NAME else name for name in rows} <= FIELDS


def test_help_shows_every_option() -> None:
    shown = serve_help()
    assert all(option.name.replace("_", "-") in shown for option in OPTIONS)


WORDS = st.sampled_from(
    [
        "--port",
        "--port=1",
        "--host",
        "--host=::1",
        "1",
        "-1",
        "localhost",
        "--",
        "--watch",
        "x.py",
        "--port=",
        "--module",
        "-",
        "--openwhisk",
        "--no-openwhisk",
        "--help",
        "--wrokers",
        "",
    ]
)
VARIABLES = st.dictionaries(
    st.sampled_from(["PORT", "HOTWHISK_PORT", "HOTWHISK_HOST", "HOTWHISK_OPENWHISK"]),
    st.sampled_from(["", "1", "yes", "no", "127.0.0.1", "70000"]),
)


@given(st.lists(WORDS, max_size=6), VARIABLES)
def test_the_port_that_is_opened_first_is_the_one_that_is_configured(
    arguments: list[str], environ: dict[str, str]
) -> None:
    try:
        values = read_config(arguments, environ)
    except HotwhiskError:
        return
    assert address(scan(arguments, environ)) == (values.host, values.port)


@given(st.lists(st.text(max_size=8) | WORDS, max_size=5), VARIABLES)
def test_whatever_is_given_the_outcome_is_a_config_or_a_usage_error(
    arguments: list[str], environ: dict[str, str]
) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(read_config(arguments, environ), Config)


def test_lines_of_json_are_refused_where_the_platform_reads_the_lines() -> None:
    assert read_config([], {"HOTWHISK_LOG_FORMAT": "json"}).json_log
    assert not read_config(["--openwhisk"], {}).json_log
    for arguments in (["--log-format", "json", "--openwhisk"], ["--log-format=xml"]):
        with pytest.raises(UsageError, match="--log-format"):
            read_config(arguments, {})
