"""
Find the addresses and names of a server, for its commands and for requests from elsewhere.

Commands read the variables of a server too, so in the same environment they find the server. This
module is pure.
"""

from __future__ import annotations

from hotwhisk.config.config import WILDCARDS, Config
from hotwhisk.config.options import BY_NAME, CLIENT_VARIABLES, is_loopback, scan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

CONTROL_VERSION = 1
"""The version of the questions and answers on a control socket."""

USUAL = ("127.0.0.1", "localhost", "0.0.0.0", "::", "")
"""Addresses that conflict on one port, so that the port alone names the server."""


def base_url(config: Config) -> str:
    """Return the URL of the server for clients on its own machine."""
    host = "127.0.0.1" if config.host in WILDCARDS or config.openwhisk else config.host
    return f"http://{f'[{host}]' if ':' in host else host}:{config.port}"


def replace_command(config: Config) -> str:
    """Return the command that posts a version to this server."""
    flags = ""
    if config.host not in (*WILDCARDS, "127.0.0.1", "localhost"):
        flags = f" --url {base_url(config)}"
    elif config.port != Config.port:
        flags = f" --port {config.port}"
    if token_file := config.replace_token_file or config.token_file:
        flags += f" --token-file {token_file}"
    if config.main != Config.main:
        flags += f" --main {config.main}"
    return f"hotwhisk replace{flags} {config.file or 'FILE'}"


def accepted_hosts(config: Config) -> str:
    """
    Return the hosts by which a request from elsewhere may call this server.

    The text is empty if requests may come from this machine only, or by any name.
    """
    by_any_name = config.cloudevents and not is_loopback(config.host)
    if config.openwhisk or by_any_name or (is_loopback(config.host) and not config.hosts):
        return ""
    by_token = config.token_file or config.replace_token_file
    names = ("any IP address of this machine",) if by_token else ()
    return ", ".join((*names, *config.hosts))


def client_url(url: str | None, environ: Mapping[str, str]) -> str:
    """Return the server's URL for commands: the flag, HOTWHISK_URL, or the port on this machine."""
    named = url or environ.get(CLIENT_VARIABLES[0]) or f"127.0.0.1:{client_port(environ)}"
    return named if "://" in named else f"http://{named}"


def client_port(environ: Mapping[str, str]) -> int:
    """Return the port that a server started from this environment would open."""
    port = scan((), environ).value("port")
    assert isinstance(port, int)  # the table of options says so
    return port


def named_port(environ: Mapping[str, str]) -> int | None:
    """Return the port that the environment names; None if it names none."""
    source = scan((), environ).raw["port"][1]
    return None if source == "default" else client_port(environ)


def client_setting(name: str, environ: Mapping[str, str]) -> str | None:
    """Return a text setting that commands share with the server, such as ``token_file``."""
    return environ.get(BY_NAME[name].variable) or None


def server_name(host: str, port: int) -> str:
    """
    Return the name of a server's folder and socket.

    The name is the port. For an address that is not in `USUAL`, the address is added.
    """
    return str(port) if host in USUAL else f"{port}@{host.lower()}"


def control_path(run_dir: str, place: str) -> str:
    """Return the path of the socket on which a server answers ``status`` and ``rollback``."""
    return f"{run_dir}/{place}.sock"
