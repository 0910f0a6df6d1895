"""What the process of ``--mcp`` learns: the current version with its content, and a refusal."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from hotwhisk.ipc.messages import Failed
from hotwhisk.server.control import Control
from hotwhisk.server.current import answer_current
from hotwhisk.supervisor.workers import State
from tests.unit.supervisor.scripted import Scripted


def ask(scripted: Scripted, control: Control) -> tuple[dict[str, Any], list[int]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.connect(control.path)
        end.sendall(b'{"ask":"current"}\n')
        for _ in range(2):  # one to accept, one to read
            scripted.supervisor.wait(0.0)
        data, descriptors, _, _ = socket.recv_fds(end, 65536, 2)
    return json.loads(data), descriptors


def test_the_content_goes_with_the_answer_and_a_refusal_lasts_until_a_version_loads(
    script: Callable[..., Scripted], tmp_path: Path
) -> None:
    scripted = script()
    parts = scripted.supervisor.parts
    answers = {"current": lambda question: answer_current(question, parts)}
    with closing(Control(str(tmp_path / "a.sock"), answers, parts)) as control:
        empty = {"version": 1, "main": "", "offset": 0, "length": 0, "refusal": ""}
        assert ask(scripted, control) == ({**empty, "generation": 0}, [])
        scripted.serve()
        found, [descriptor] = ask(scripted, control)
        assert (found["generation"], found["refusal"]) == (1, "")
        assert os.readlink(f"/proc/self/fd/{descriptor}") == os.devnull
        os.close(descriptor)
        scripted.supervisor.rollout.submit(scripted.candidate())
        scripted.supervisor.run_commands()
        loading = scripted.worker(State.LOADING)
        scripted.send(loading, Failed(502, "why", "Traceback: here\n"))
        found, [descriptor] = ask(scripted, control)
        os.close(descriptor)
        assert (found["generation"], found["refusal"]) == (1, "why\n\nTraceback: here")
        scripted.serve()
        found, [descriptor] = ask(scripted, control)
        os.close(descriptor)
        assert (found["generation"], found["refusal"]) == (3, "")
