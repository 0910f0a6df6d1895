"""A server with ``--watch`` loads its sources after the watcher has read them."""

from __future__ import annotations

import os
import threading

from hotwhisk.cli.watch import wait_begun

DEADLINE = 10.0


def test_the_server_waits_for_the_first_look_and_takes_no_line_of_a_change() -> None:
    changes, end = os.pipe()
    waiting = threading.Thread(target=wait_begun, args=(changes,))
    waiting.start()
    assert waiting.is_alive()
    os.write(end, b"\n")
    waiting.join(DEADLINE)
    assert not waiting.is_alive()
    os.write(end, b"hello.py changed\n")
    assert os.read(changes, 100) == b"hello.py changed\n"
    assert not os.get_blocking(changes)
    os.close(end)
    os.close(changes)


def test_a_watcher_that_ended_holds_up_no_start() -> None:
    changes, end = os.pipe()
    os.close(end)
    wait_begun(changes)
    os.close(changes)
