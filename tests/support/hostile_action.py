"""
The source of an action that attacks the supervisor of its server.

It uses what any action has: the descriptors and the memory of its process.
"""

from __future__ import annotations

import json

_SOURCE = """\
import json
import os
import random
import socket
import struct
import time

ON_IMPORT = json.loads(%r)
PHASES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 255)
SHARED = "/dev/zero (deleted)"


def channel():
    for name in os.listdir("/proc/self/fd"):
        try:
            end = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        if (end.family, end.type) == (socket.AF_UNIX, socket.SOCK_SEQPACKET):
            return end
        end.close()


def descriptors(draw):
    made = []
    for _ in range(draw.choice((0, 0, 0, 1, 1, 2))):
        kind = draw.randrange(3)
        if kind == 0:
            made.append(os.memfd_create("hostile", os.MFD_ALLOW_SEALING))
            os.ftruncate(made[-1], 4096)
        elif kind == 1:
            made.append(os.open(os.devnull, os.O_RDWR))
        else:
            made.append(os.pidfd_open(os.getpid()))
    return made


def send(packets, draw, plain):
    end = channel()
    for packet in packets:
        made = [] if plain else descriptors(draw)
        try:
            socket.send_fds(end, [packet.encode("latin-1")], made, socket.MSG_DONTWAIT)
        except OSError:
            time.sleep(0.001)
        for each in made:
            os.close(each)


def scribble(words, draw, phases):
    with open("/proc/self/maps") as maps:
        (where,) = [line.split()[0] for line in maps if line.rstrip().endswith(SHARED)]
    begin, end = (int(each, 16) for each in where.split("-"))
    doubles = [struct.pack("d", each) for each in (float("nan"), float("inf"), -1.0, 1e308)]
    longs = [struct.pack("Q", each) for each in (0, 1, 2, 255, 2**63, 2**64 - 1)]
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        for turn in range(words):
            memory.seek(begin + 8 * draw.randrange((end - begin) // 8))
            memory.write(draw.choice((draw.randbytes(8), *doubles, *longs)))
            memory.seek(begin + 64 + 512 * 8 + draw.randrange(32))
            memory.write(bytes([draw.choice(phases)]))
            if turn %% 100 == 0:
                time.sleep(0.001)


def attack(plan):
    draw = random.Random(plan["seed"])
    phases = plan.get("phases", PHASES)
    if plan["words"]:
        scribble(plan["words"], draw, phases)
    send(plan["packets"], draw, plan.get("plain"))
    if plan["words"]:
        scribble(plan["words"] // 10, draw, phases)


if ON_IMPORT:
    attack(ON_IMPORT)


def main(event):
    if event.get("attack"):
        attack(event["attack"])
    if event.get("die"):
        os._exit(3)
    time.sleep(event.get("sleep", 0))
    return {"version": 0}
"""


def hostile_source(on_import: dict[str, object] | None = None) -> str:
    """
    Return an action that attacks as its event says, or with ``on_import`` while it is loaded.

    A plan has ``packets`` to send, a number of ``words`` to write anywhere in the table, and a
    ``seed``. If it is ``plain``, the packets have no descriptors. If it has ``phases``, only these
    are written where the table has phases.
    """
    return _SOURCE % json.dumps(on_import)
