"""
How a server is called: by its commands, and by requests from this machine and others.

Pure. Commands read the variables of a server too: started from one environment, they find it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from hotwhisk.config import WILDCARDS, Config
from hotwhisk.options import BY_NAME, CLIENT_VARIABLES, is_loopback, scan

if TYPE_CHECKING:
    from collections.abc import Mapping


def base_url(config: Config) -> str:
    """The address that the server is called by on its own machine."""
    host = "127.0.0.1" if config.host in WILDCARDS or config.openwhisk else config.host
    return f"http://{f'[{host}]' if ':' in host else host}:{config.port}"


def client_flags(config: Config) -> str:
    """What ``replace`` and ``invoke`` need to reach this server, each flag after a blank."""
    flags = ""
    if config.host not in (*WILDCARDS, "127.0.0.1", "localhost"):
        flags = f" --url {base_url(config)}"
    elif config.port != Config.port:
        flags = f" --port {config.port}"
    return flags + (f" --token-file {config.token_file}" if config.token_file else "")


def accepted_hosts(config: Config) -> str:
    """By which hosts a request may call this server from elsewhere; empty if only from this machine."""
    if config.openwhisk or (is_loopback(config.host) and not config.hosts):
        return ""
    names = ("any IP address of this machine",) if config.token_file else ()
    return ", ".join((*names, *config.hosts))


def client_url(url: str | None, environ: Mapping[str, str]) -> str:
    """Where commands find the server: the flag, HOTWHISK_URL, or this machine and its port."""
    named = url or environ.get(CLIENT_VARIABLES[0]) or f"127.0.0.1:{client_port(environ)}"
    return named if "://" in named else f"http://{named}"


def client_port(environ: Mapping[str, str]) -> int:
    """The port that a server started from this environment would open."""
    return cast("int", scan((), environ).value("port"))


def named_port(environ: Mapping[str, str]) -> int | None:
    """The port that the environment names, if it does."""
    source = scan((), environ).raw["port"][1]
    return None if source == "default" else client_port(environ)


def client_setting(name: str, environ: Mapping[str, str]) -> str | None:
    """A text that commands share with the server, such as ``token_file`` or ``run_dir``."""
    return environ.get(BY_NAME[name].variable) or None
