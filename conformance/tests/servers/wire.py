"""
The parts that the servers of these tests share: HTTP on a socket, and the two streams.

They use sockets alone, because each case starts a server, and imports would take longer than all
the rest. ``fault`` names what is wrong with a server; with an empty one it is right.
"""

import base64
import json
import os
import socket
import sys
import threading

SENTINEL = b"XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX\n"
TWICE = "Cannot initialize the action more than once."
NO_CODE = "Missing main/no code to execute."
NO_DICTIONARY = "The action did not return a dictionary or array."
NO_BINARY = "The action failed to generate or locate a binary. See logs for details."


class Refused(Exception):
    """An answer other than 200; ``logged`` if sentinels belong to it."""

    def __init__(self, status: int, text: object, *, logged: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.logged = logged


class Server:
    """Serves until it is killed; subclasses define `init` and `run`."""

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.initialised = False

    def init(self, value: dict) -> None:
        raise NotImplementedError

    def run(self, body: dict) -> object:
        raise NotImplementedError

    def serve(self) -> None:
        listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=256)
        if self.fault == "prints a banner":
            write(1, "listening\n")
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self.converse, args=(connection,), daemon=True).start()

    def converse(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader:
            line = reader.readline()
            if not line:
                return
            path, length = line.split()[1], 0
            while header := reader.readline().strip().lower():
                if header.startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            content = reader.read(length)
            if self.fault == "swallows unicode":
                content = content.decode("ascii", "replace").encode()
            status, result = self.answer(path.decode(), json.loads(content))
            body = result if isinstance(result, bytes) else self.dump(result)
            connection.sendall(self.head(status, body))

    def head(self, status: int, body: bytes) -> bytes:
        start = b"HTTP/1.1 %d Whatever\r\nConnection: close\r\n" % status
        if self.fault == "answers in chunks":
            chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            return start + b"Transfer-Encoding: chunked\r\n\r\n" + chunked
        return start + b"Content-Length: %d\r\n\r\n" % len(body) + body

    def dump(self, result: object) -> bytes:
        if self.fault == "writes NaN":
            return json.dumps(result).replace("null", "NaN").encode()
        if self.fault == "wastes space":
            return json.dumps(result, indent=8, ensure_ascii=False).encode()
        return json.dumps(result, ensure_ascii=False).encode()

    def answer(self, path: str, body: object) -> tuple[int, object]:
        try:
            result = self.on_init(body) if path == "/init" else self.on_run(body)
        except Refused as refusal:
            if refusal.logged:
                self.sentinels()
            return refusal.status, {"error": refusal.text}
        return 200, result

    def on_init(self, body: object) -> object:
        if self.initialised:
            self.refuse_second()
        value = (body.get("value") or {}) if isinstance(body, dict) else {}
        if not value.get("code"):
            if self.fault == "takes no code for code":
                return {"ok": True}
            raise Refused(403, NO_CODE)
        self.init(value)
        self.initialised = True
        if self.fault == "writes sentinels after init":
            self.sentinels()
        return {"ok": True}

    def refuse_second(self) -> None:
        if self.fault != "takes a second init":
            if self.fault != "is silent about a second init":
                write(2, TWICE + "\n")
            raise Refused(403, TWICE)

    def on_run(self, body: object) -> object:
        if not self.initialised:
            raise Refused(500, "no action defined yet")
        result = self.run(body)
        self.sentinels()
        return result

    def sentinels(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        if self.fault != "forgets sentinels":
            write(1, SENTINEL)
            if self.fault != "writes no sentinel on stderr":
                write(2, SENTINEL)


def write(end: int, text: str | bytes) -> None:
    os.write(end, text.encode() if isinstance(text, str) else text)


def content_of(value: dict) -> bytes:
    """Return the posted code as bytes, without base64."""
    code = value.get("code") or ""
    return base64.b64decode(code) if value.get("binary") else code.encode()


def unpack(content: bytes, folder: str, *, keep_modes: bool = True) -> None:
    """Unpack a zip into a folder."""
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
        for member in archive.infolist():
            if keep_modes and member.external_attr >> 16:
                os.chmod(os.path.join(folder, member.filename), member.external_attr >> 16)
