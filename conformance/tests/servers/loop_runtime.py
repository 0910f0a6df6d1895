"""
A proxy for executables that speak the ActionLoop protocol; right, unless it is told otherwise.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile

import wire
from wire import Refused, Server


class LoopRuntime(Server):
    def on_init(self, body: object) -> object:
        if self.fault == "takes an empty init" and not body:
            return {}
        return super().on_init(body)

    def init(self, value: dict) -> None:
        folder = tempfile.mkdtemp(dir=os.environ.get("FOLDER"))
        exec_path = os.path.join(folder, "exec")
        content = wire.content_of(value)
        if content[:2] == b"PK" and self.fault == "knows no zip":
            raise Refused(502, wire.NO_BINARY, logged=True)
        if value.get("binary") and content[:2] != b"PK" and self.fault == "knows zips alone":
            content = base64.b64encode(content)
        if content[:2] == b"PK":
            wire.unpack(content, folder)
        else:
            with open(exec_path, "wb") as file:
                file.write(content)
        os.chmod(exec_path, 0o755)
        if not content.startswith((b"#!", b"PK")):
            raise Refused(502, wire.NO_BINARY, logged=True)
        self.start(exec_path, value.get("env") or {})

    def start(self, exec_path: str, env: dict) -> None:
        reading, writing = os.pipe()
        ack = self.fault != "waits for no acknowledgement"
        own = {name: text for name, text in os.environ.items() if name.startswith("__OW_")}
        own = {} if self.fault == "passes no environment" else {**own, **env}
        self.child = subprocess.Popen(
            ["sh", "-c", f"exec {exec_path} 3>&{writing}"],
            stdin=subprocess.PIPE,
            pass_fds=[writing],
            env={"__OW_WAIT_FOR_ACK": "1", "PATH": os.environ["PATH"], **own},
        )
        os.close(writing)
        self.replies = os.fdopen(reading, "rb")
        if ack:
            self.replies.readline()

    def run(self, body: dict) -> object:
        if self.fault == "passes the value alone":
            body = {"value": body.get("value")}
        line = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()
        reply = json.loads(self.replies.readline())
        allowed = dict if self.fault == "knows no arrays" else (dict, list)
        if not isinstance(reply, allowed):
            raise Refused(502, wire.NO_DICTIONARY, logged=True)
        return reply


LoopRuntime(sys.argv[1]).serve()
