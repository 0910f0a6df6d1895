"""``serve --mcp``: agents call the action with the official client, which never connects again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.test_watch import wait_note
from tests.support.actions import version_source
from tests.support.agents import AgentError, Agents, texts
from tests.support.archives import tar_of, zip_of
from tests.support.client import Connection
from tests.support.curl import curl
from tests.support.server import HOTWHISK, Server, mcp_url
from tests.support.waiting import wait_gone

pytestmark = pytest.mark.slow

HELLO = '''
def main(event):
    """Greet a person."""
    return {{"{0}": event.get("name", "stranger")}}
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "hello.py"
    found.write_text(HELLO.format("hi"))
    return found


@pytest.fixture(scope="module")
def agents() -> Iterator[Agents]:
    """Start the process of the agents, whose imports take a second, once for this module."""
    with Agents() as started:
        yield started


def serve(*arguments: str) -> Server:
    return Server(*arguments, "--mcp", "--mcp-port", "0")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_edit_is_new_at_the_next_call_and_a_refused_one_is_told(
    file: Path, agents: Agents, mode: str
) -> None:
    with serve(str(file), "--watch") as server:
        agent = agents.connect(mcp_url(server), mode=mode)
        [tool] = agent.tools()
        assert (tool["name"], tool["description"]) == ("hello", "Greet a person.")
        assert tool["inputSchema"]["properties"] == {"name": {"default": "stranger"}}
        found = agent.call("hello", name="Ada")
        assert (found["structuredContent"], found["isError"]) == ({"hi": "Ada"}, False)
        file.write_text(HELLO.format("ciao").replace("Greet", "Salute"))
        wait_note(server, "generation 2 current")
        assert agent.call("hello")["structuredContent"] == {"ciao": "stranger"}
        assert agent.tools()[0]["description"] == "Salute a person."
        file.write_text("def helper():\n    return missing\nhelper()\n")
        wait_note(server, "raised NameError")
        result, note = texts(agent.call("hello"))
        assert result == '{"ciao": "stranger"}'
        assert "The last version was refused" in note
        assert "Traceback (most recent call last)" in note
        assert 'hello.py", line 2, in helper' in note
        assert agent.tools()[0]["description"] == "Salute a person."
        file.write_text("def main(:\n")
        wait_note(server, "does not compile")
        note = texts(agent.call("hello"))[1]
        assert "hello.py does not compile" in note
        assert "Traceback" not in note
        file.write_text(HELLO.format("hallo"))
        wait_note(server, "current")
        assert texts(agent.call("hello")) == ['{"hallo": "stranger"}']


def test_posted_versions_have_their_own_schema(agents: Agents) -> None:
    with serve() as server:
        agent = agents.connect(mcp_url(server))
        assert agent.tools()[0]["inputSchema"] == {"type": "object"}
        found = agent.call("action")
        assert found["isError"]
        assert "binary" in texts(found)[0]
        post(server, version_source(1))
        assert not agent.call("action", token=1)["isError"]
        code = "def go(e):\n    'Do it.'\n    return {'x': e['x']}\n"
        post(server, code, "go")
        [tool] = agent.tools()
        assert (tool["description"], tool["inputSchema"]["properties"]) == ("Do it.", {"x": {}})
        post(server, tar_of({"__main__.py": HELLO.format("tar").replace("Greet", "Salute")}))
        assert agent.tools()[0]["description"] == "Salute a person."
        post(server, zip_of({"__main__.py": HELLO.format("zip")}))
        assert agent.tools()[0]["description"] == "Greet a person."
        post(server, "raise RuntimeError('no')")
        result, note = texts(agent.call("action", name="x"))
        assert result == '{"zip": "x"}'
        assert "RuntimeError: no" in note


def post(server: Server, code: str | bytes, main: str = "main") -> None:
    """Post a version, whether it loads or not."""
    with Connection(server.address, timeout=30.0) as connection:
        connection.init(code, main)


def test_what_the_handler_raises_is_an_error_of_the_tool(tmp_path: Path, agents: Agents) -> None:
    file = tmp_path / "bad.py"
    file.write_text("import os\ndef main(e):\n    return os._exit(3) if e else [1 / 0]\n")
    with serve(str(file)) as server:
        agent = agents.connect(mcp_url(server))
        found = agent.call("bad")
        assert found["isError"]
        assert texts(found)[0].startswith("ZeroDivisionError: division by zero (bad.py:3)")
        found = agent.call("bad", x=1)
        assert found["isError"]
        assert "exit status 3" in texts(found)[0]
        with pytest.raises(AgentError, match="there is no tool 'other'"):
            agent.call("other")


def test_who_may_call(file: Path, tmp_path: Path, agents: Agents) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    with serve(str(file), "--token-file", str(token)) as server:
        url = mcp_url(server)
        agent = agents.connect(url, {"Authorization": "Bearer secret"})
        assert agent.call("hello")["structuredContent"] == {"hi": "stranger"}
        with pytest.raises(AgentError):
            agents.connect(url, {"Authorization": "Bearer wrong"})
        with pytest.raises(AgentError):
            agents.connect(url)


def test_a_page_cannot_call_and_a_wrong_request_costs_its_sender_only(
    file: Path, tmp_path: Path, agents: Agents
) -> None:
    ping = '{"jsonrpc": "2.0", "id": 1, "method": "ping"}'
    json_type = ("-H", "Content-Type: application/json")

    with serve(str(file)) as server:
        url = mcp_url(server)

        def status(*arguments: str, body: str = ping) -> int:
            (tmp_path / "body").write_text(body)
            return curl(url, "--data-binary", f"@{tmp_path}/body", *arguments).status

        assert status(*json_type) == 200
        assert status(*json_type, "-H", "Origin: http://page.example") == 403
        assert status(*json_type, "-H", "Host: page.example") == 403
        assert status(*json_type, "-H", "Sec-Fetch-Site: cross-site") == 403
        assert status("-H", "Content-Type: text/plain") == 415
        assert status(*json_type, body="[" * 100_000) == 400
        assert status(*json_type, body="x" * (5 << 20)) == 413
        assert status(*json_type) == 200
        agent = agents.connect(url)
        assert agent.call("hello")["structuredContent"] == {"hi": "stranger"}


def test_the_process_ends_with_the_server(file: Path) -> None:
    with serve(str(file)) as server:
        [pid] = [
            pid for pid in server.tree()
            if Path(f"/proc/{pid}/comm").read_text().startswith("hotwhisk:mcp")
        ]  # fmt: skip
        server.terminate()
        assert server.wait(20.0) == 0
        assert wait_gone(pid, 20.0)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--openwhisk"], "--mcp cannot be used with --openwhisk"),
        (["--mcp-port", "PORT"], "cannot listen on --mcp-port"),
    ],
)
def test_what_cannot_be_served_is_told_at_the_start(
    file: Path, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    with Server() as other:
        words = [str(other.port) if each == "PORT" else each for each in arguments]
        done = subprocess.run(
            [*HOTWHISK, str(file), "--mcp", "--port", "0", "--run-dir", str(tmp_path), *words],
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
    assert done.returncode in (1, 2)
    assert expected in done.stderr


def test_without_the_libraries_the_start_says_what_to_install(file: Path, tmp_path: Path) -> None:
    # An environment without site-packages has no starlette.
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-S", "-m", "hotwhisk", "serve", str(file), "--mcp", "--port", "0"],
        capture_output=True, text=True, check=False, timeout=30,
        env={**os.environ, "PYTHONPATH": str(source)}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--mcp needs the library starlette: pip install '.[mcp]'" in done.stderr


def test_ctrl_c_is_for_the_server(file: Path, agents: Agents) -> None:
    with serve(str(file)) as server:
        [pid] = [
            pid for pid in server.tree()
            if Path(f"/proc/{pid}/comm").read_text().startswith("hotwhisk:mcp")
        ]  # fmt: skip
        os.kill(pid, signal.SIGINT)
        agent = agents.connect(mcp_url(server))
        assert agent.call("hello")["structuredContent"] == {"hi": "stranger"}
