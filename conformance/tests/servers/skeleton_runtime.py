"""
A runtime that starts an executable for each activation, and has a stub while none is posted.

Its folder is shown as /action, which a test cannot make. As ``example``, ``badaction`` and
``badproxy`` it is what those images are.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading

import wire
from wire import Refused, Server

STUB = """#!/bin/sh
echo "this is the stub"
echo '{"error": "This is a stub action. Replace it with custom logic."}'
"""
EXAMPLE = """#!/bin/sh
echo "This is an example log message from an arbitrary C program!"
printf '{"msg": "Hello from arbitrary C program!", "args": %s}\\n' "$1"
"""


class SkeletonRuntime(Server):
    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.folder = tempfile.mkdtemp(dir=os.environ.get("FOLDER"))
        self.exec = os.path.join(self.folder, "exec")
        if fault != "has no stub":
            self.put(EXAMPLE if fault == "example" else STUB)

    def put(self, script: str) -> None:
        with open(self.exec, "w", encoding="utf-8") as file:
            file.write(script)
        os.chmod(self.exec, 0o755)

    def on_init(self, body: dict) -> object:
        if self.initialised:
            self.refuse_second()
        value = body.get("value") or {}
        if value.get("binary"):
            if os.path.exists(self.exec):
                os.unlink(self.exec)
            keep = self.fault != "loses modes"
            wire.unpack(wire.content_of(value), self.folder, keep_modes=keep)
        elif value.get("code") is not None:
            self.put(value["code"])
        if not os.access(self.exec, os.X_OK):
            raise Refused(502, wire.NO_BINARY, logged=True)
        self.initialised = True
        return {"ok": True}

    def on_run(self, body: object) -> object:
        value = ((body or {}).get("value") or {}) if isinstance(body or {}, dict) else body
        if not isinstance(value, dict | list) and self.fault != "takes any argument":
            raise Refused(404, "not a dictionary", logged=True)
        if isinstance(value, list) and self.fault == "knows no arrays":
            raise Refused(404, "not a dictionary", logged=True)
        context = {f"__OW_{name.upper()}": text for name, text in (body or {}).items()
                   if name != "value"}  # fmt: skip
        result = self.executed(json.dumps(value), context)
        self.sentinels()
        return result

    def executed(self, text: str, context: dict) -> object:
        script = open(self.exec, "rb").read(2)
        if script != b"#!" or not os.access(self.exec, os.X_OK):
            wire.write(1, "there was an error\n")
            raise Refused(502, wire.NO_DICTIONARY, logged=True)
        done = subprocess.run(
            [self.exec, text[:100_000]],
            input=text.encode(),
            stdout=subprocess.PIPE,
            check=False,
            cwd="/" if self.fault == "stays where it is" else self.folder,
            env={**os.environ, **context},
        )
        lines = done.stdout.decode().rstrip("\n").split("\n")
        wire.write(1, "".join(line + "\n" for line in lines[:-1]))
        last = lines[-1].replace(self.folder, "/action")
        try:
            result = json.loads(last)
        except ValueError:
            result = None
        if not isinstance(result, dict | list):
            wire.write(1, last + "\n")
            raise Refused(502, wire.NO_DICTIONARY, logged=True)
        return result


class BadAction(Server):
    def answer(self, path: str, body: dict) -> tuple[int, object]:
        value = body.get("value") or {}
        order = value.get("code") or next(iter(value), "")
        if order == "sleep":
            wire.write(1, "sleeping\n")
            threading.Event().wait()
        wire.write(1, "exit\n")
        return 500, b"<html>"


if sys.argv[1] == "badproxy":
    threading.Event().wait()
elif sys.argv[1] == "badaction":
    BadAction("").serve()
else:
    SkeletonRuntime(sys.argv[1]).serve()
