"""
Functions of Google's Functions Framework, unchanged, on a real server.

The framework's own conformance tool is a Go program that the Go proxy does not have. So its cases
are sent here: what it sends to each kind of function, and what the function must get of it.
"""

from __future__ import annotations

import json
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.server import Server

pytestmark = pytest.mark.slow

_FUNCTIONS = """\
import functions_framework

@functions_framework.http
def http(request):
    if request.path == "/crash":
        raise ValueError("oh")
    if request.path == "/nothing":
        return None
    if request.path == "/pair":
        return "made", 201, {"X-Made": request.headers["X-Asked"]}
    if request.path == "/form":
        return request.form["a"] + request.args["b"]
    return {"method": request.method, "path": request.path, "body": request.get_json(silent=True)}

@functions_framework.cloud_event
def event(cloud_event):
    write({"attributes": dict(cloud_event.get_attributes()), "data": cloud_event.data})

def write(found):
    import json
    with open(OUTPUT, "w") as file:
        json.dump(found, file)

class Name:
    def __init__(self, first):
        self.first = first

    @staticmethod
    def from_dict(given):
        return Name(given["first"])

    def to_dict(self):
        return {"hello": self.first}

@functions_framework.typed(Name)
def typed(name):
    return name
"""
_ASYNC = """\
import functions_framework.aio

@functions_framework.aio.http
async def http(request):
    return "x"
"""
EVENT = {
    "specversion": "1.0",
    "type": "google.cloud.storage.object.v1.finalized",
    "source": "//storage.googleapis.com/projects/_/buckets/some-bucket",
    "subject": "objects/Test.cs",
    "id": "aaaaaa-1111-bbbb-2222-cccccccccccc",
    "time": "2020-09-29T11:32:00Z",
    "datacontenttype": "application/json",
}
DATA = {"bucket": "some-bucket", "name": "Test.cs", "size": "352"}
LEGACY = {
    "context": {
        "eventId": EVENT["id"],
        "timestamp": EVENT["time"],
        "eventType": "google.storage.object.finalize",
        "resource": {
            "service": "storage.googleapis.com",
            "name": "projects/_/buckets/some-bucket/objects/Test.cs",
            "type": "storage#object",
        },
    },
    "data": DATA,
}


class Function:
    """A function on a server of its own; a context manager."""

    def __init__(self, server: Server, output: Path) -> None:
        self.http = HTTPConnection("127.0.0.1", server.port, timeout=20.0)
        self.output = output

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        self.http.request(method, path, body, headers or {})
        response = self.http.getresponse()
        named = {name.lower(): value for name, value in response.headers.items()}
        return response.status, named, response.read()

    def received(self) -> Any:
        return json.loads(self.output.read_text())


def source(folder: Path) -> Path:
    file = folder / "main.py"
    file.write_text(f"OUTPUT = {str(folder / 'output')!r}\n{_FUNCTIONS}")
    return file


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("functions")
    return source(folder), folder / "output"


def test_an_http_function(served: tuple[Path, Path]) -> None:
    file, output = served
    with (
        Server("--cloudevents", str(file), env={"FUNCTION_TARGET": "http"}) as server,
        Function(server, output) as function,
    ):
        sent = json.dumps({"res": "PASS"}).encode()
        for method, path in (("POST", "/"), ("PUT", "/a/b"), ("DELETE", "/run")):
            status, headers, body = function.ask(
                method, path, sent, {"Content-Type": "application/json"}
            )
            expected = {"method": method, "path": path, "body": {"res": "PASS"}}
            assert (status, json.loads(body)) == (200, expected)
            assert headers["content-type"] == "application/json"
        assert function.ask("GET", "/robots.txt")[0] == 404
        status, headers, body = function.ask("GET", "/pair", headers={"X-Asked": "7"})
        assert (status, headers["x-made"], body) == (201, "7", b"made")
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert function.ask("POST", "/form?b=2", b"a=1", form)[2] == b"12"
        for path in ("/crash", "/nothing"):
            status, headers, _ = function.ask("GET", path)
            assert (status, headers["x-google-status"]) == (500, "crash")
        assert function.ask("HEAD", "/")[2] == b""
        assert function.ask("GET", "/health/liveness")[2] == b"OK\n"


def test_a_cloud_event_function(served: tuple[Path, Path]) -> None:
    file, output = served
    binary = {f"ce-{name}": value for name, value in EVENT.items() if name != "datacontenttype"}
    with (
        Server("--cloudevents", "--main", "event", str(file)) as server,
        Function(server, output) as function,
    ):
        cases: list[tuple[dict[str, str], object]] = [
            ({"Content-Type": "application/json", **binary}, DATA),
            ({"Content-Type": "application/cloudevents+json"}, EVENT | {"data": DATA}),
            ({"Content-Type": "application/json"}, LEGACY),
        ]
        for headers, sent in cases:
            output.unlink(missing_ok=True)
            status, _, body = function.ask("POST", "/", json.dumps(sent).encode(), headers)
            assert (status, body) == (200, b"OK"), headers
            found = function.received()
            assert found["data"] == DATA
            assert found["attributes"] == EVENT
        assert function.ask("POST", "/", b"{}", {"Content-Type": "application/json"})[0] == 400
        assert function.ask("GET", "/")[0] == 405


def test_a_typed_function(served: tuple[Path, Path]) -> None:
    file, output = served
    with (
        Server("--cloudevents", "--main", "typed", str(file)) as server,
        Function(server, output) as function,
    ):
        headers = {"Content-Type": "application/json"}
        answered = function.ask("POST", "/", b'{"first": "Jane"}', headers)
        assert (answered[0], json.loads(answered[2])) == (200, {"hello": "Jane"})


def test_a_function_is_replaced_while_it_serves(served: tuple[Path, Path]) -> None:
    file, output = served
    with (
        Server("--cloudevents", str(file), "--main", "typed") as server,
        Function(server, output) as function,
    ):
        server.post(
            "import functions_framework\n@functions_framework.http\ndef main(_):\n    return 'a'"
        )
        assert function.ask("GET", "/")[2] == b"a"
        server.post("def main(event):\n    return {'version': 3}")
        assert function.ask("GET", "/")[0] == 405


def test_an_asynchronous_function_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "main.py"
    file.write_text(_ASYNC)
    with Server("--cloudevents", "--main", "http", str(file)) as server:
        assert "functions_framework.aio, which is not served here" in server.stderr()
