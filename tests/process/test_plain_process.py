"""A worker is a plain Python process: an action finds what `python file.py` has by default."""

from __future__ import annotations

import pytest

from tests.support.client import run_once
from tests.support.server import Server

pytestmark = pytest.mark.slow

SOURCE = """
import _thread, atexit, faulthandler, signal, sys, threading, time

def main(event):
    if event.get("interrupt"):
        try:
            _thread.interrupt_main()
            time.sleep(5)
        except KeyboardInterrupt:
            return {"caught": True}
        return {"caught": False}
    return {
        "sigint": signal.getsignal(signal.SIGINT) is signal.default_int_handler,
        "sigpipe": signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN,
        "sigterm": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL,
        "mask": not signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "main": threading.current_thread() is threading.main_thread(),
        "hook": sys.excepthook is sys.__excepthook__,
        "limit": sys.getrecursionlimit() == 1000,
        "faulthandler": not faulthandler.is_enabled(),
        "trace": sys.gettrace() is None and sys.getprofile() is None,
    }
"""


def test_action_finds_the_defaults_of_python() -> None:
    with Server() as server:
        server.post(SOURCE)
        found = run_once(server.address, {}).json()
        assert [name for name, as_usual in found.items() if not as_usual] == []


def test_interrupt_main_raises_keyboard_interrupt_in_the_action() -> None:
    with Server() as server:
        server.post(SOURCE)
        assert run_once(server.address, {"interrupt": True}).value("caught") is True
