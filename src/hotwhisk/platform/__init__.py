"""
A model of the invoker: the part of Apache OpenWhisk that calls a runtime.

It is for tests, and for people without a cluster. Like the real one it opens a new connection for
each call, retries ``/init`` while the port is closed, and never retries ``/run``. It judges answers
and collects the log by the same rules, and returns what ``wsk activation get`` would show::

    with ProcessRuntime(["hotwhisk", "serve", "--openwhisk", "--port", "{port}"]) as runtime:
        record = Invoker().invoke(runtime, Action("hello", source), {"name": "you"})

What is not modelled: the controller (authentication, web actions, sequences), the pool that decides
which container is used, and the limits of memory and processors.
"""

from __future__ import annotations

from hotwhisk.platform.action import Action, Limits, Names, is_base64
from hotwhisk.platform.activation import Invoker
from hotwhisk.platform.container import ContainerRuntime
from hotwhisk.platform.logs import LogRule, LogStream
from hotwhisk.platform.process_runtime import ProcessRuntime
from hotwhisk.platform.replay import Replay, activation_from, replay
from hotwhisk.platform.runtime import Runtime, UrlRuntime
from hotwhisk.platform.texts import SENTINEL

__all__ = [
    "SENTINEL", "Action", "ContainerRuntime", "Invoker", "Limits", "LogRule", "LogStream",
    "Names", "ProcessRuntime", "Replay", "Runtime", "UrlRuntime", "activation_from",
    "is_base64", "replay",
]  # fmt: skip
