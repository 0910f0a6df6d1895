"""C1 and C2: overlapping activations, if the operator allows them and if not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest

from hotwhisk_conformance.client import Answer
from hotwhisk_conformance.session import Session, error

row = pytest.mark.conformance

MANY: Final = 128
BUSY: Final = "System not ready, status is running."

MEETING = """\
import asyncio

arrived = 0
everybody = asyncio.Event()

async def main(args):
    global arrived
    print("here")
    arrived += 1
    if arrived == args["count"]:
        everybody.set()
    await everybody.wait()
    return args
"""
SLOW = """\
import time

def main(args):
    begin = time.monotonic()
    time.sleep(0.5)
    return {"name": args["name"], "begin": begin, "end": time.monotonic()}
"""
SLOW_ASYNC = """\
import asyncio
import time

async def main(args):
    begin = time.monotonic()
    await asyncio.sleep(0.5)
    return {"name": args["name"], "begin": begin, "end": time.monotonic()}
"""


def run_together(session: Session, arguments: list[dict[str, object]]) -> list[Answer]:
    with ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(session.run, arguments))


@row("C1", "concurrency")
def test_c1_as_many_at_once_as_are_sent(session: Session) -> None:
    session.start({"__OW_ALLOW_CONCURRENT": "true"})
    session.must_init(MEETING)
    arguments: list[dict[str, object]] = [{"number": n, "count": MANY} for n in range(MANY)]
    for argument, answer in zip(arguments, run_together(session, arguments), strict=True):
        assert answer.status == 200, f"/run: got {answer}"
        assert answer.document == argument, f"/run with {argument}: got {answer}"
    rest = session.must_write(sentinels=MANY, stdout=None)
    if rest is not None:
        assert rest.stdout.split() == ["here"] * MANY, "all must start before any ends"


@row("C2", "concurrency")
@pytest.mark.parametrize("source", [SLOW, SLOW_ASYNC], ids=["function", "coroutine"])
def test_c2_no_overlap_where_it_is_forbidden(session: Session, source: str) -> None:
    session.start({"__OW_ALLOW_CONCURRENT": "false"})
    session.must_init(source)
    answers = run_together(session, [{"name": "a"}, {"name": "b"}])
    done = [answer for answer in answers if answer.status == 200]
    assert done, f"/run: got {answers}"
    if len(done) == 1:
        refused = next(answer for answer in answers if answer.status != 200)
        assert refused.status == 403, f"the overlapping /run: got {refused}"
        error(refused, one_of=(BUSY,))
        session.must_write(stderr=BUSY.replace(".", r"\."))
        return
    assert [answer.document["name"] for answer in answers] == ["a", "b"], f"/run: got {answers}"
    first, second = sorted((answer.document for answer in answers), key=lambda each: each["begin"])
    assert first["end"] <= second["begin"], f"two runs overlapped: {first} and {second}"
    session.must_write(sentinels=2)
