"""Actions that answer in parts, and wait or report where the test says."""

from __future__ import annotations

_MEET = """\
import asyncio, os, socket, time

VERSION = %d

def meet(path):
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(path)
        end.sendall(str(os.getpid()).encode())
        end.recv(1)

def part(event, n):
    return {"n": n, "version": VERSION, "pid": os.getpid(), "token": event.get("token"),
            "text": "x" * event.get("size", 0)}
"""

_PLAIN = """
def main(event):
    try:
        for n in range(event.get("parts", 3)):
            if event.get("hold") == n:
                meet(event["at"])
            yield part(event, n)
            time.sleep(event.get("pause", 0))
    finally:
        if "closed" in event:
            meet(event["closed"])
"""

_ASYNCHRONOUS = """
async def meet_async(path):
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(str(os.getpid()).encode())
    try:
        await reader.read(1)
    finally:
        writer.close()

async def main(event):
    try:
        for n in range(event.get("parts", 3)):
            if event.get("hold") == n:
                await meet_async(event["at"])
            yield part(event, n)
            await asyncio.sleep(event.get("pause", 0))
    finally:
        if "closed" in event:
            await meet_async(event["closed"])
"""


def stream_source(version: int, *, asynchronous: bool = False) -> str:
    """
    Return an action that yields ``parts`` parts, each with its number, version, pid and token.

    It waits at the rendezvous ``at`` before the part ``hold``, and ``pause`` seconds after each.
    Its ``finally`` reports to the rendezvous ``closed``.
    """
    return _MEET % version + (_ASYNCHRONOUS if asynchronous else _PLAIN)
