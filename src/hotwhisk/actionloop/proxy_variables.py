"""Name the variables that the official proxy puts into the environment of an action."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from hotwhisk.config.config import Config

PROXY_VERSION: Final = "1.17.1"
"""The version of the ActionLoop proxy whose rules are kept. Actions can read it."""


def proxy_variables(config: Config) -> dict[str, str]:
    """Return the variables of the proxy for every action."""
    own = {"__OW_PROXY_VERSION": PROXY_VERSION}
    if config.execution_env:
        own["__OW_EXECUTION_ENV"] = config.execution_env
    if config.wait_for_ack:
        own["__OW_WAIT_FOR_ACK"] = "1"
    return own


def python_variables(config: Config) -> dict[str, str]:
    """
    Return the variables of the proxy for an action in Python.

    They include the variables that the script of the official image adds for Python. If the image
    does not state its name, the action finds the name of the official image.
    """
    name = f"openwhisk/action-python-v{sys.version_info[0]}.{sys.version_info[1]}"
    own = {"__OW_EXECUTION_ENV": name, "PYTHONIOENCODING": "UTF-8"}
    return own | proxy_variables(config)
