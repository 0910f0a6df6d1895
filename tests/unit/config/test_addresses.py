"""The URL by which a server is called."""

from __future__ import annotations

import pytest

from hotwhisk.config import addresses
from hotwhisk.config.addresses import accepted_hosts, client_url, named_port, replace_command
from hotwhisk.config.config import Config, read_config


def test_commands_call_the_server_that_flags_or_variables_name() -> None:
    assert client_url(None, {}) == "http://127.0.0.1:8080"
    assert client_url(None, {"PORT": "9"}) == "http://127.0.0.1:9"
    assert client_url(None, {"HOTWHISK_URL": "http://h"}) == "http://h"
    assert client_url("http://f", {"HOTWHISK_URL": "http://h"}) == "http://f"
    assert client_url("f:9", {}) == "http://f:9"


def test_a_port_is_named_by_either_variable() -> None:
    assert named_port({}) is None
    assert named_port({"PORT": "9"}) == 9
    assert named_port({"HOTWHISK_PORT": "8080"}) == 8080


@pytest.mark.parametrize(
    ("config", "flags"),
    [
        (Config(), ""),
        (Config(port=9000), " --port 9000"),
        (Config(host="0.0.0.0", port=9000, token_file="t"), " --port 9000 --token-file t"),
        (Config(host="127.0.0.2"), " --url http://127.0.0.2:8080"),
        (Config(host="::1", port=9), " --url http://[::1]:9"),
    ],
)
def test_a_hint_has_the_flags_that_reach_the_server(config: Config, flags: str) -> None:
    assert replace_command(config) == f"hotwhisk replace{flags} FILE"


@pytest.mark.parametrize(
    ("arguments", "hosts"),
    [
        ([], ""),
        (["--token-file", "t"], ""),
        (["--openwhisk"], ""),
        (["--host", "0.0.0.0", "--token-file", "t"], "any IP address of this machine"),
        (["--allow-host", "A.example"], "a.example"),
        (
            ["--host", "box.lan", "--token-file", "t"],
            "any IP address of this machine, box.lan",
        ),
    ],
)
def test_the_start_says_by_which_hosts_a_server_is_called(arguments: list[str], hosts: str) -> None:
    assert accepted_hosts(read_config(arguments, {})) == hosts


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::", ""])
def test_the_usual_addresses_make_a_short_name(host: str) -> None:
    assert addresses.server_name(host, 8080) == "8080"


@pytest.mark.parametrize("host", ["127.0.0.2", "::1", "10.1.2.3", "Name.example"])
def test_another_address_is_part_of_the_name(host: str) -> None:
    assert addresses.server_name(host, 8080) == f"8080@{host.lower()}"


def test_the_socket_of_a_place() -> None:
    assert addresses.control_path("/r", "80@::1") == "/r/80@::1.sock"


def test_a_hint_names_the_handler_and_the_file() -> None:
    config = Config(file="hello.py", main="greet")
    assert replace_command(config) == "hotwhisk replace --main greet hello.py"
