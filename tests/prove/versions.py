"""Check that bad versions never become current, and that each is refused with a helpful text."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator

from tests.support.actions import puppet_source
from tests.support.client import Connection, Lost
from tests.support.server import Server
from tests.support.wire import Response, init_body, post

from .outcome import Outcome, ask, connect

Case = tuple[str, bytes, tuple[int, ...], tuple[str, ...]]
BUILD = (400, 502)


def archive(name: str, content: bytes, times: int = 1) -> bytes:
    """Return a zip with one member, ``content`` repeated ``times``."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("__main__.py", "def main(event):\n    return {}\n")
        with made.open(name, "w", force_zip64=True) as member:
            for _ in range(times):
                member.write(content)
    return written.getvalue()


def cases(huge: int, bomb: int) -> Iterator[Case]:
    """Yield name, body, the statuses that are right, and words of which the text must hold one."""
    good = archive("data.bin", os.urandom(20_000))
    yield "not JSON", b'{"value": {"code": ', (400,), ("json",)
    yield "not an object", b"[1, 2]", (400,), ("object",)
    yield "no code", init_body(""), (400, 403, 502), ("code", "no ", "missing")
    bad64 = json.dumps({"value": {"binary": True, "code": "!!not base64!!"}}).encode()
    yield "not base64", bad64, BUILD, ("base64",)
    yield "truncated zip", init_body(good[: len(good) // 2], binary=True), BUILD, ("zip",)
    up = init_body(archive("../../evil.py", b"x"), binary=True)
    yield "../ in a zip", up, BUILD, ("..", "outside", "evil")
    bombed = init_body(archive("zeros", bytes(1 << 20), bomb), binary=True)
    yield "zip bomb", bombed, BUILD, ("large", "big", "limit", "times", "ratio", "most", "mb")
    yield "syntax error", init_body("def main(event:\n"), (502,), ("syntax", "never closed")
    yield "import error", init_body("import not_there_at_all\n"), (502,), ("not_there_at_all",)
    yield "raises at import", init_body("1 / 0\n"), (502,), ("division", "zero")
    yield "missing main", init_body("def other(event): return {}\n"), (502,), ("main",)
    yield "main not callable", init_body("main = 3\n"), (502,), ("callable", "function")
    yield (
        "sys.exit at import",
        init_body("import sys\nsys.exit(7)\n"),
        (502,),
        ("exit", "left", "7"),
    )
    yield "os._exit at import", init_body("import os\nos._exit(7)\n"), (502,), ("exit", "left", "7")
    killed = init_body("import os\nos.kill(os.getpid(), 9)\n")
    yield "killed at import", killed, (502,), ("signal", "kill")
    yield (
        "hangs at import",
        init_body("while True: pass\n"),
        (502, 504),
        ("time", "ready", "second"),
    )
    yield (
        f"{huge >> 20} MB of code",
        init_body("#" * huge),
        (400, 413, 502),
        ("large", "limit", "mb"),
    )


def refuse_bad(server: Server, huge: int = 60 << 20, bomb: int = 400) -> Outcome:
    """Post each bad version once; the current version keeps its process and its connections."""
    outcome = Outcome("every bad version once")
    server.post(puppet_source(1))
    tried = 0
    with connect(server) as kept:
        pid = kept.run({}).value("pid")
        for name, body, statuses, words in cases(huge, bomb):
            with outcome.trying(name):
                response = offer(server, body)
                text = response.error or ""
                outcome.expect(
                    response.status in statuses and text,
                    f"{name}: {statuses} expected: {response.status} {response.body[:120]!r}",
                )
                outcome.expect(
                    any(word in text.lower() for word in words),
                    f"{name}: the text does not help: {text[:160]!r}",
                )
                answer = kept.run({})
                outcome.expect_version(f"{name}, kept connection", answer, 1)
                outcome.expect(answer.json().get("pid") == pid, f"{name}: the worker was lost")
                outcome.expect_version(f"{name}, new connection", ask(server), 1)
                tried += 1
    server.post(puppet_source(2))
    outcome.expect_version("a good one afterwards", ask(server), 2)
    outcome.result = f"{tried} refused, the current version answered throughout"
    return outcome


def offer(server: Server, body: bytes) -> Response:
    """Post a body and return the answer, also one that comes before the whole body is read."""
    with Connection(server.address, timeout=30.0) as connection:
        try:
            connection.send(post("/init", body))
        except Lost:
            return connection.read_response()
        return connection.read_response()
