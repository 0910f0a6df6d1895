"""
Fork a template: a process that has loaded the action, has served nothing, and forks workers.

If the import of an action took long, the worker that loaded it forks a template (Pitchfork calls it
a mold, Android a zygote). Further workers of that generation, for ``--workers`` or after a worker's
exit, are forked from it. Their modules are imported already: this takes milliseconds where pandas
takes a second. A template is only an optimisation. If anything goes wrong with it, the worker is
loaded in the ordinary way. The supervisor does not wait for the template: a worker is pending until
the template sends its process id.

The template is forked after the import and before the functions with ``@on_startup``. Every worker
calls these functions for itself, because an action opens objects there that two processes must not
share. So coroutines need no exception: their event loop does not exist yet.

No template is forked if the action holds something after the import that two processes must not
share:

- a thread: it ends at a fork, and its locks stay locked;
- a child process;
- an open file or socket: both processes would use one offset, or one connection;
- shared memory or a semaphore: if one process dies, it may stay locked;
- a generator of random numbers: both processes would draw the same numbers.

A pool of threads that ends itself before a fork, as numpy's does, is allowed. No list of names is
needed for that: right after the fork, the number of threads is counted.

The template forks twice. The process in between exits at once, and the kernel gives the new process
to the supervisor, the nearest child subreaper. So the supervisor gets its wait status as for any
worker.
"""

from __future__ import annotations

import _socket
import fcntl
import gc
import os
import select
import sys
import time
from collections.abc import Collection

from hotwhisk.ipc.channel import Channel, ChannelClosed, DescriptorsLost
from hotwhisk.ipc.messages import Spawn, Spawned, TemplateReady
from hotwhisk.record import Record
from hotwhisk.system.children import children
from hotwhisk.system.descriptors import LIBFFI
from hotwhisk.system.double_fork import double_fork
from hotwhisk.worker.own_process import exit_now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


MIN_LOAD_TIME = 0.03
"""
Seconds of CPU time that a load must take before a template is worth a process.

Time spent waiting does not count: what was read from a disk is in memory the next time.
"""

OWN_FILES = "/memfd:hotwhisk"
"""How the names of our memory files begin in /proc."""


class ForkedWorker(Record):
    """
    A worker that a template has forked: its slot, the descriptor of its channel, and the value of
    ``recalls`` in the scoreboard when it was ordered.
    """

    channel: int
    slot: int
    recalls: int


def template_name(generation: int) -> str:
    """Return the name that ``ps`` shows for a template."""
    return f"hotwhisk:t{generation}"


def fork_template(
    generation: int, channel: Channel, own: Collection[int], lowest: int
) -> ForkedWorker | None:
    """
    Fork a template if the action allows it, and send `TemplateReady` to the supervisor.

    Return None in this process. Return again, once, in each worker that the template forks.

    ``channel`` leads to the supervisor. ``own`` are the descriptors of this process that belong to
    the server. ``lowest`` is the lowest number of a descriptor that the server opens in a worker.
    """
    supervisor = os.getppid()
    pid = -1
    ends: list[_socket.socket] = []
    try:
        reason = _reason_against(own)
        if not reason:
            gc.freeze()  # a collection on either side would copy what they share
            ends += Channel.pair()
            pid = double_fork(template_name(generation), supervisor)
        if pid > 0:
            reason = _announce(pid, channel, ends[0])
    except OSError as error:
        reason = f"no process: {error.strerror}"
    except Exception as error:  # noqa: BLE001 - the action may have replaced what is called here
        reason = f"{type(error).__name__}: {error}"
    if not pid:
        ends[0].close()
        return _fork_workers(Channel(ends[1]), supervisor, lowest)
    if reason:
        channel.send(TemplateReady(reason=reason))
    for end in ends:
        end.close()
    return None


def _announce(pid: int, channel: Channel, ours: _socket.socket) -> str:
    """
    Send the process id of a template to the supervisor; return a reason against it, or "".

    If there is a reason, the template is not announced. It exits when its channel is closed.
    """
    threads = _threads_that_stay()
    if threads > 1:
        return f"the action left {threads - 1} threads behind"
    pidfd = os.pidfd_open(pid)
    try:
        channel.send(TemplateReady(pid), (ours.fileno(), pidfd))
    finally:
        os.close(pidfd)
    return ""


def _fork_workers(channel: Channel, supervisor: int, lowest: int) -> ForkedWorker:
    """Be the template: fork a worker for each `Spawn`. Return only in the workers."""
    waiting = select.poll()
    waiting.register(channel.fileno(), select.POLLIN)
    while True:
        waiting.poll()
        try:
            received = channel.receive()
        except (ChannelClosed, DescriptorsLost):
            exit_now(0)
        if received is None or not isinstance(received[0], Spawn):
            continue
        spawn, (end,) = received[0], received[1]
        try:
            pid = double_fork(spawn.name, supervisor)
        except OSError:
            channel.send(Spawned(spawn.slot))
        else:
            if not pid:
                channel.close()
                high = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, lowest)
                os.close(end)
                _seed_again()
                return ForkedWorker(high, spawn.slot, spawn.recalls)
            channel.send(Spawned(spawn.slot, pid))
        os.close(end)


def _seed_again() -> None:
    """Seed numpy's old global generator after a fork; Python's own generator reseeds itself."""
    seed = getattr(sys.modules.get("numpy.random"), "seed", None)
    if seed is not None:
        seed()


# -- reasons against a template -------------------------------------------------------------


def _reason_against(own: Collection[int]) -> str:
    """Return what the action holds that two processes must not share; "" if it holds nothing."""
    threads = len(sys._current_frames()) - 1
    if threads:
        return f"the action left {threads} threads behind"
    if children():
        return "the action left a process behind"
    kept = _open_files(own)
    if kept:
        return f"the action keeps {kept} open"
    if _shares_memory():
        return "the action holds shared memory or a semaphore"
    if _has_random_state():
        return "the action holds a generator of random numbers"
    return ""


def _threads_that_stay() -> int:
    """Count the threads right after a fork. The kernel lists a joined thread a moment longer."""
    attempts = 20
    while (threads := len(os.listdir("/proc/self/task"))) > 1 and attempts:
        attempts -= 1
        time.sleep(0.001)
    return threads


def _open_files(own: Collection[int]) -> str:
    """Return the name of an open file or socket that is not ours; "" if there is none."""
    for entry in os.listdir("/proc/self/fd"):
        if int(entry) > 2 and int(entry) not in own:
            try:
                target = os.readlink(f"/proc/self/fd/{entry}")
            except OSError:  # the listing itself
                continue
            if not target.startswith(OWN_FILES) and LIBFFI not in target:
                return target
    return ""


def _shares_memory() -> bool:
    """Return whether the action has writable shared memory. One mapping is our scoreboard."""
    with open("/proc/self/maps", "rb") as file:
        shared = [line for line in file if b" rw-s " in line and OWN_FILES.encode() not in line]
    return len(shared) > 1


def _has_random_state() -> bool:
    """Return whether a random generator exists besides those that are seeded again."""
    kinds: list[type] = []
    known: list[Any] = []
    ordinary, numpy = sys.modules.get("random"), sys.modules.get("numpy.random")
    if isinstance(getattr(ordinary, "Random", None), type):
        kinds.append(ordinary.Random)  # type: ignore[union-attr]
        known.append(getattr(ordinary, "_inst", None))
    if isinstance(getattr(numpy, "BitGenerator", None), type):
        kinds.append(numpy.BitGenerator)  # type: ignore[union-attr]
        ours = getattr(getattr(numpy, "mtrand", None), "_rand", None)
        known.append(getattr(ours, "_bit_generator", None))
    system = getattr(ordinary, "SystemRandom", ())
    objects = gc.get_objects()
    # By type first: there are few types, and `isinstance` would run code of the objects.
    drawing = {
        kind
        for kind in {type(each) for each in objects}
        if issubclass(kind, tuple(kinds)) and not issubclass(kind, system)
    }
    return bool(drawing) and any(
        type(each) in drawing and not any(each is one for one in known) for each in objects
    )
