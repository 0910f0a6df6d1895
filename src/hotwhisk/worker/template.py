"""
The template: a process that has loaded the action, has served nothing, and waits to be forked.

A worker whose action took long to import leaves one behind. Further workers of that generation
(``--workers``, or after a death) are forked from it and have the import at pending_fork: milliseconds
where pandas takes a second. It is never more than an optimisation: whatever goes wrong with
it, the worker is loaded in the ordinary way. The supervisor does not wait for the template. A
worker that it ordered is pending until the template sends the process id.

The template is left after the import and before the functions with ``@on_startup``. Every worker
calls these functions for itself, because an action opens objects there that two processes must not
share. So coroutines need no exception: their event loop does not exist yet.
Whoever holds such a thing after the import gets no template: a thread
(ends at a fork, and leaves its locks behind), a child, an open file or socket (one offset, one
conversation for two), shared memory or a semaphore (a death would leave it locked), a generator
of random numbers of its own (two would draw the same). A pool of threads that itself ends
before a fork, as numpy's does, is no reason, and that is seen, not known by name: right after
the fork, the parent has one thread.

A template forks twice: the process between ends at once, and the kernel gives the worker to the
supervisor, the nearest child subreaper. docs/decisions.md says what was rejected.
"""

from __future__ import annotations

import fcntl
import gc
import os
import select
import socket
import sys
import time
from collections.abc import Collection
from typing import Any

from hotwhisk.ipc.channel import Channel, ChannelClosed, DescriptorsLost
from hotwhisk.ipc.messages import Spawn, Spawned, TemplateReady
from hotwhisk.record import Record
from hotwhisk.system.children import children
from hotwhisk.system.double_fork import double_fork
from hotwhisk.worker.process import exit_now

MIN_LOAD_TIME = 0.03
"""
Seconds of CPU time in loading from which on a template is left; less is not worth a process.
What was waited for, a disk say, is there the next time.
"""

OWN_FILES = "/memfd:hotwhisk"
"""What our memory files are called in /proc."""


class PendingFork(Record):
    """A worker just forked from a template: its place, and the number of its channel."""

    channel: int
    slot: int
    recalls: int


def template_name(generation: int) -> str:
    """Return the name that ``ps`` shows for a template."""
    return f"hotwhisk:t{generation}"


def fork_template(
    generation: int, channel: Channel, own: Collection[int], lowest: int
) -> PendingFork | None:
    """
    Leave a template behind, if nothing is in its way, and tell the supervisor through
    ``channel``. Returns None in this process; and once in each worker that is forked from it.

    ``own`` are the numbers of our own descriptors, ``lowest`` the least that a worker's may have.
    """
    supervisor = os.getppid()
    pid = -1
    ends: list[socket.socket] = []
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
        return _stand_by(Channel(ends[1]), supervisor, lowest)
    if reason:
        channel.send(TemplateReady(reason=reason))
    for end in ends:
        end.close()
    return None


def _announce(pid: int, channel: Channel, ours: socket.socket) -> str:
    """Tell of a template; of one with an reason nobody will know, and it leaves by itself."""
    threads = _threads_that_stay()
    if threads > 1:
        return f"the action left {threads - 1} threads behind"
    pidfd = os.pidfd_open(pid)
    try:
        channel.send(TemplateReady(pid), (ours.fileno(), pidfd))
    finally:
        os.close(pidfd)
    return ""


def _stand_by(channel: Channel, supervisor: int, lowest: int) -> PendingFork:
    """Wait for orders, and return only in the workers."""
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
        order, (end,) = received[0], received[1]
        try:
            pid = double_fork(order.name, supervisor)
        except OSError:
            channel.send(Spawned(order.slot))
        else:
            if not pid:
                channel.close()
                high = fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, lowest)
                os.close(end)
                _seed_again()
                return PendingFork(high, order.slot, order.recalls)
            channel.send(Spawned(order.slot, pid))
        os.close(end)


def _seed_again() -> None:
    """Seed numpy's old global generator after a fork; Python's own generator reseeds itself."""
    seed = getattr(sys.modules.get("numpy.random"), "seed", None)
    if seed is not None:
        seed()


# -- what is in the way ---------------------------------------------------------------------


def _reason_against(own: Collection[int]) -> str:
    """Return what the action holds that two processes must not share, or an empty text."""
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
    """Count the threads right after a fork. A joined thread is listed a moment longer."""
    patience = 20
    while (threads := len(os.listdir("/proc/self/task"))) > 1 and patience:
        patience -= 1
        time.sleep(0.001)
    return threads


def _open_files(own: Collection[int]) -> str:
    """Return the target of an open file or socket that is not ours; empty if there is none."""
    for entry in os.listdir("/proc/self/fd"):
        if int(entry) > 2 and int(entry) not in own:
            try:
                target = os.readlink(f"/proc/self/fd/{entry}")
            except OSError:  # the listing itself
                continue
            if not target.startswith(OWN_FILES):
                return target
    return ""


def _shares_memory() -> bool:
    """Return whether there is writable memory, beside our scoreboard, that a fork does not copy."""
    with open("/proc/self/maps", "rb") as file:
        shared = [line for line in file if b" rw-s " in line and OWN_FILES.encode() not in line]
    return len(shared) > 1


def _has_random_state() -> bool:
    """Return whether a generator of random numbers exists beside those that are seeded again."""
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
    # By type first: there are few, and `isinstance` would ask an object that lies about its own.
    drawing = {
        kind
        for kind in {type(each) for each in objects}
        if issubclass(kind, tuple(kinds)) and not issubclass(kind, system)
    }
    return bool(drawing) and any(
        type(each) in drawing and not any(each is one for one in known) for each in objects
    )
