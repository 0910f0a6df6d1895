"""Scratch memory: what it costs, and that a forked process has its own."""

from __future__ import annotations

import os

from hotwhisk.system.scratch import scratch_memory
from tests.support.tree import anonymous

SIZE = 64 << 20


def test_it_costs_only_what_was_written() -> None:
    before = anonymous([os.getpid()])
    memory = scratch_memory(SIZE)
    memory[: 1 << 20] = bytes(1 << 20)
    assert anonymous([os.getpid()]) - before < SIZE // 2
    assert memory.nbytes == SIZE


def test_a_forked_process_writes_into_its_own() -> None:
    memory = scratch_memory(4096)
    memory[0] = 1
    pid = os.fork()
    if not pid:
        memory[0] = 2
        os._exit(memory[0])
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 2
    assert memory[0] == 1
