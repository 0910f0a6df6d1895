"""A proxy for executables that speak the ActionLoop protocol; right, unless it is given a fault."""

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
        if is_go(content) and self.fault != "compiles nothing":
            content = compiled(self.fault, content, value.get("main") or "main", folder)
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
        if not content.startswith((b"#!", b"PK", b"\x7fELF")):
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
        self.answers = os.fdopen(reading, "rb")
        if ack:
            self.answers.readline()

    def run(self, body: dict) -> object:
        if self.fault == "passes the value alone":
            body = {"value": body.get("value")}
        line = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        self.child.stdin.write(line.encode() + b"\n")
        self.child.stdin.flush()
        answer = json.loads(self.answers.readline())
        allowed = dict if self.fault == "knows no arrays" else (dict, list)
        if not isinstance(answer, allowed):
            raise Refused(502, wire.NO_DICTIONARY, logged=True)
        return answer


def is_go(content: bytes) -> bool:
    return content.startswith(b"package ") or (content[:2] == b"PK" and b".goPK" in content)


def compiled(fault: str, content: bytes, main: str, folder: str) -> bytes:
    """Return the executable that the compiler makes of Go."""
    from pathlib import Path

    import go_compile

    source, target = Path(folder, "source"), Path(folder, "target")
    source.mkdir()
    target.mkdir()
    if content[:2] == b"PK":
        if fault == "compiles single files alone":
            raise Refused(502, wire.NO_BINARY, logged=True)
        wire.unpack(content, str(source))
        if fault == "flattens folders":
            for file in source.glob("*/*"):
                file.rename(source / file.name)
    else:
        (source / "exec").write_bytes(content)
    if fault == "ignores the name":
        main = "main"
    if go_compile.compile_go(main, source, target):
        raise Refused(502, wire.NO_BINARY, logged=True)
    return (target / "exec").read_bytes()


def compile_archive(fault: str, main: str) -> None:
    """Write what ``-compile`` gives."""
    import io
    import zipfile

    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(content, "w") as archive:
        if fault != "compiles to nothing":
            program = compiled(fault, sys.stdin.buffer.read(), main, folder)
            member = zipfile.ZipInfo("exec")
            member.external_attr = 0o100755 << 16
            archive.writestr(member, program)
    sys.stdout.buffer.write(content.getvalue())


if sys.argv[2:]:
    compile_archive(sys.argv[1], sys.argv[3])
else:
    LoopRuntime(sys.argv[1]).serve()
