"""A Python runtime that is right, unless it is given a fault."""

import base64
import os
import sys
import tempfile
import threading

import wire
from wire import Refused, Server

BUSY = "System not ready, status is running."
GENERIC = "Cannot start action. Check logs for details."


class PythonRuntime(Server):
    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.allowed = os.environ.get("__OW_ALLOW_CONCURRENT") == "true"
        if fault == "never overlaps":
            self.allowed = False
        if fault == "always overlaps":
            self.allowed = True
        self.lock, self.starting = threading.Lock(), threading.Lock()
        self.loop = None
        if fault == "hides sys.executable":
            sys.executable = ""

    def init(self, value: dict) -> None:
        self.context = {}
        try:
            self.load(value)
        except Refused as refusal:
            if self.fault == "calls all its refusals 400":
                refusal.status = 400
            raise

    def load(self, value: dict) -> None:
        env = value.get("env") or {}
        if self.fault != "sets the environment late":
            os.environ.update(env)
        content = wire.content_of(value)
        source = self.unpacked(content) if content[:2] == b"PK" else content.decode()
        scope: dict[str, object] = {"__name__": "main__"}
        try:
            exec(compile(source, "main__.py", "exec"), scope)
            main = "main" if self.fault == "ignores main" else value.get("main") or "main"
            self.handler = scope[main]
        except SyntaxError as error:
            self.print_error(str(error))
            raise Refused(502, wire.NO_BINARY, logged=True) from None
        except SystemExit:
            if self.fault == "dies with its action":
                os._exit(1)
            self.print_error("Command exited abruptly during initialization.")
            raise Refused(502, GENERIC, logged=True) from None
        except Exception:  # noqa: BLE001 - the action's
            self.print_error(format_error())
            raise Refused(502, GENERIC, logged=True) from None
        os.environ.update(env)

    def print_error(self, text: str) -> None:
        wire.write(2, text.strip() + "\n")

    def unpacked(self, content: bytes) -> str:
        folder = tempfile.mkdtemp(dir=os.environ.get("FOLDER"))
        wire.unpack(content, folder)
        if self.fault != "stays where it is":
            os.chdir(folder)
        sys.path.insert(0, folder)
        virtualenv = os.path.join(folder, "virtualenv")
        script = os.path.join(virtualenv, "bin", "activate_this.py")
        lost = os.path.isdir(virtualenv) and not os.path.exists(script)
        if lost and self.fault != "takes any virtualenv":
            raise Refused(502, "The action failed: Invalid virtualenv.", logged=True)
        try:
            with open(os.path.join(folder, "__main__.py"), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            if self.fault == "takes an archive without main":
                return "def main(args): return args\necho = main"
            self.print_error("Zip file does not include __main__.py")
            compiled = os.path.exists(os.path.join(folder, "exec.env"))
            raise Refused(502, GENERIC if compiled else wire.NO_BINARY, logged=True) from None

    def run(self, body: dict) -> object:
        if self.allowed:
            return self.checked(body)
        if self.fault.startswith("refuses"):
            if not self.lock.acquire(blocking=False):
                if self.fault == "refuses with 503":
                    raise Refused(503, BUSY)
                wire.write(2, BUSY + "\n")
                raise Refused(403, BUSY)
        else:
            self.lock.acquire()
        try:
            return self.checked(body)
        finally:
            self.lock.release()

    def checked(self, body: dict) -> object:
        if self.fault != "drops the context":
            names = [name for name in body if name != "value"]
            os.environ.update({"__OW_" + name.upper(): body[name] for name in names})
        value = body.get("value") or {}
        if isinstance(value, list) and self.fault == "knows no arrays":
            raise Refused(404, wire.NO_DICTIONARY, logged=True)
        result = self.called(value)
        allowed = dict if self.fault == "knows no arrays" else (dict, list)
        if not isinstance(result, allowed) and self.fault != "takes any result":
            raise Refused(502, wire.NO_DICTIONARY, logged=True)
        if self.fault == "calls errors failures" and "error" in result:
            raise Refused(500, result["error"], logged=True)
        return result

    def called(self, value: object) -> object:
        try:
            result = self.handler(value)
            if hasattr(result, "send"):
                result = self.awaited(result)
        except SystemExit:
            if self.fault == "dies with its action":
                os._exit(1)
            raise Refused(400, "command exited", logged=True) from None
        except Exception as error:  # noqa: BLE001 - the action's
            if self.fault != "swallows tracebacks":
                self.print_error(format_error())
            return {"error": str(error)}
        return result

    def awaited(self, coroutine: object) -> object:
        import asyncio  # takes longer than all the rest

        with self.starting:
            if self.loop is None:
                self.loop = asyncio.new_event_loop()
                threading.Thread(target=self.loop.run_forever, daemon=True).start()
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()


def format_error() -> str:
    import traceback

    return traceback.format_exc()


def compile_archive(fault: str) -> None:
    """Write what ``-compile`` gives; required libraries are not installed, only made up."""
    import io
    import zipfile

    if fault == "cannot compile":
        sys.exit("no compiler")
    content = io.BytesIO(sys.stdin.buffer.read())
    if fault == "compiles to nothing":
        content = io.BytesIO()
        zipfile.ZipFile(content, "w").close()
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr("exec.env", "mine")
        archive.writestr("made_up.py", "")
    data = content.getvalue()
    sys.stdout.buffer.write(base64.b64encode(data) if fault == "compiles to text" else data)


if sys.argv[2:]:
    compile_archive(sys.argv[1])
else:
    PythonRuntime(sys.argv[1]).serve()
