"""Run the commands on a server of a few lines, which gives one prepared answer."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from hotwhisk import __version__
from hotwhisk.artifact.artifact import unpack
from hotwhisk.cli import main
from hotwhisk.cli.code import read_code, zip_folder
from hotwhisk.cli.command_names import COMMANDS
from hotwhisk.errors import UsageError

GENERATION = {"Hotwhisk-Generation": "8 sha256:" + "ab12" * 16}


class OneAnswer(HTTPServer):
    status = 200
    body = b'{"ok":true}\n'
    headers: dict[str, str] = GENERATION
    path = ""
    got: dict[str, object]
    authorization: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: OneAnswer

    def do_POST(self) -> None:
        self.server.path = self.path
        self.server.authorization = self.headers["Authorization"]
        self.server.got = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[OneAnswer]:
    with OneAnswer(("127.0.0.1", 0), Handler) as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield one
        one.shutdown()
        thread.join()


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    path = tmp_path / "hello.py"
    path.write_text("def main(args):\n    return args\n")
    return path


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*argv: str, environ: dict[str, str] | None = None) -> tuple[int, str, str]:
        code = main(argv, {} if environ is None else environ)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_the_first_screen_names_every_command(run: Run) -> None:
    for argv in ((), ("--help",), ("help",)):
        code, out, _ = run(*argv)
        assert code == 0
        assert all(f"  {command}" in out for command in COMMANDS)


@pytest.mark.parametrize("command", ["serve", "replace"])
def test_help_about_a_command(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with contextlib.suppress(SystemExit):
        main(["help", command])
    assert f"usage: hotwhisk {command} [" in capsys.readouterr().out


def test_a_link_to_nowhere_is_named(run: Run, tmp_path: Path) -> None:
    link = tmp_path / "link.py"
    link.symlink_to("nowhere.py")
    code, _, err = run("serve", str(link), "--port", "0")
    assert code == 2
    assert "link.py is a link to nowhere.py, which does not exist" in err


def test_the_version(run: Run) -> None:
    assert run("--version") == (0, f"hotwhisk {__version__}\n", "")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["sevre"], "unknown command sevre; did you mean serve?"),
        (["watch"], "unknown command watch; did you mean hotwhisk serve --watch FILE?"),
        (["run", "x.py"], "unknown command run; did you mean hotwhisk serve FILE?"),
        (["deploy"], "did you mean hotwhisk replace FILE?"),
        (["hello.py"], "unknown command hello.py; did you mean hotwhisk serve hello.py?"),
        (["--port", "9000"], "unknown option --port; did you mean hotwhisk serve --port?"),
        (["-debug"], "image: hotwhisk proxy -debug"),
        (["--debug"], "unknown option --debug"),
        (["serve", "--debug", "f"], "unknown option --debug"),
        (["serve", "--reload", "f"], "unknown option --reload; did you mean --watch?"),
        (["serve", "--config", "x"], "hotwhisk serve --show-config prints them all"),
        (["serve", "--env-file", ".env"], "set -a; . ./FILE; hotwhisk serve"),
        (["serve", "-p", "9000", "f"], "unknown option -p; did you mean --port?"),
        (["serve", "-port", "9000"], "unknown option -port; did you mean --port?"),
        (["serve", "--work", "4"], "unknown option --work; did you mean --workers?"),
        (["serve", "--init_timeout=4"], "did you mean --init-timeout?"),
        (["serve", "--version"], "did you mean hotwhisk --version?"),
        (["-v"], "unknown option -v; did you mean hotwhisk --version?"),
        (["serve", "-v"], "unknown option -v; did you mean hotwhisk --version?"),
        (["dev", "-v"], "unknown option -v; did you mean hotwhisk --version?"),
        (["replace", "hello.py", "-v"], "unknown option -v; did you mean hotwhisk --version?"),
        (["up", "-x"], "unknown option -x; hotwhisk up --help lists the options"),
        (["up", "hello.py"], "up does not know hello.py; did you mean hotwhisk dev hello.py?"),
        (["serve", "--source", "f"], "FILE needs no flag"),
        (["serve", "--target", "main"], "unknown option --target; did you mean --main?"),
        (["serve", "-debug"], "hotwhisk proxy -debug"),
        (["serve", "--xyzzy"], "unknown option --xyzzy; hotwhisk serve --help lists the options"),
        (["serve", "--port", "0", "hw1.py:main"], "did you mean hw1.py --main main?"),
        (
            ["serve", "--port", "0", "app.views:main"],
            "did you mean --module app.views --main main?",
        ),
        (["xyzzy"], "unknown command xyzzy; hotwhisk --help lists the commands"),
        (["--versoin"], "unknown option --versoin; did you mean --version?"),
        (["serve", "--prot", "1"], "unknown option --prot; did you mean --port?"),
        (["replace", "--mian", "x", "f"], "unknown option --mian; did you mean --main?"),
        (["replace"], "see hotwhisk replace --help"),
        (["replace", "no-such.py"], "there is no no-such.py"),
        (["invoke", "-p", "key"], "expected 2 arguments"),
        (["invoke", "--url", "ftp://localhost"], "expected a URL such as"),
        (["invoke", "--url", "http://h:99999"], "expected a URL such as"),
        (["invoke", "--url", "http://[::1"], "expected a URL such as"),
        (["invoke", "--url", "http://h..h"], "expected a URL such as"),
        (["invoke", "--url", f"http://{'h' * 70}"], "expected a URL such as"),
        (["invoke", "--url", "http://two words"], "expected a URL such as"),
        (["invoke", "--url", "http://h/\u00e4"], "expected a URL such as"),
        (["status", "--port", "x"], "--port: expected a port"),
        (["invoke", "--port", "x"], "--port: expected a port"),
        (["invoke", "--port", "9000", "--url", "http://h"], "--url: not allowed with"),
        (["invoke", "--token-file", "no-such"], "--token-file no-such: No such file"),
    ],
)
def test_a_mistake_ends_with_2_and_says_what_was_meant(
    run: Run, argv: list[str], says: str
) -> None:
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert err.startswith("hotwhisk: ")
    assert says in err


@pytest.mark.parametrize(
    "command", [command for command in COMMANDS if command not in ("serve", "proxy")]
)
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"], {})
    assert left.value.code == 0
    assert f"usage: hotwhisk {command} " in capsys.readouterr().out


def test_replace_tells_the_generation(run: Run, server: OneAnswer, hello: Path) -> None:
    code, out, err = run("replace", str(hello), "--url", server.url, "-e", "A=b=c", "--main", "go")
    assert (code, err) == (0, "")
    assert out.startswith("replaced: generation 8 (sha256:ab12ab12ab12…) in ")
    assert server.path == "/init"
    assert server.got == {
        "value": {
            "name": "hello",
            "main": "go",
            "code": hello.read_text(),
            "binary": False,
            "env": {"A": "b=c"},
        }
    }


def test_a_port_means_this_machine_whatever_the_variables_say(
    run: Run, server: OneAnswer, hello: Path
) -> None:
    port = server.url.rpartition(":")[2]
    environ = {"HOTWHISK_URL": "http://192.0.2.1", "PORT": "9"}
    assert run("replace", str(hello), "--port", port, environ=environ)[0] == 0
    assert server.path == "/init"


def test_replace_tells_why_not_and_that_nothing_changed(
    run: Run, server: OneAnswer, hello: Path
) -> None:
    server.status, server.body = 502, b'{"error":"line 1: no"}'
    code, out, err = run("replace", str(hello), "--url", server.url)
    assert (code, out) == (1, "")
    assert err == "hotwhisk: not replaced: line 1: no\nthe current version goes on\n"


def test_replace_sends_the_token(run: Run, server: OneAnswer, hello: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    assert run("replace", str(hello), "--url", server.url, "--token-file", str(token))[0] == 0
    assert server.authorization == "Bearer secret"
    environ = {"HOTWHISK_TOKEN_FILE": str(token), "HOTWHISK_URL": server.url}
    server.authorization, server.status = None, 401
    server.body = b'{"error":"a token is needed"}\n'
    code, _, err = run("replace", str(hello), environ=environ)
    assert code == 1
    assert server.authorization == "Bearer secret"
    assert "give its token with --token-file FILE" in err


def test_replace_wants_key_and_value(run: Run, hello: Path) -> None:
    assert "-e: expected KEY=VALUE" in run("replace", str(hello), "-e", "A")[2]


def test_a_near_file_name_is_proposed(run: Run, hello: Path) -> None:
    wrong = hello.with_name("helo.py")
    assert f"did you mean {hello}?" in run("replace", str(wrong))[2]


@pytest.mark.parametrize("text", ["the action failed to locate a binary", "no action defined yet"])
def test_invoke_of_a_server_without_an_action_says_how_to_post_one(
    run: Run, server: OneAnswer, text: str
) -> None:
    server.status, server.body, server.headers = 502, json.dumps({"error": text}).encode(), {}
    code, _, err = run("invoke", "--url", server.url)
    assert code == 1
    command = f"hotwhisk replace --url {server.url} FILE"
    assert err.endswith(f"this server has no action yet; post one: {command}\n")


def test_invoke_prints_the_body_as_it_is(run: Run, server: OneAnswer) -> None:
    server.body = b'{"b":1, "a":"\xc3\xbc"}\n'
    code, out, err = run("invoke", "-p", "name", "Ada", "--url", server.url)
    assert (code, out) == (0, server.body.decode())
    assert err.startswith("generation 8 (sha256:ab12ab12ab12…) · ")
    assert err.endswith(f" · {server.url}/run\n")
    assert server.got == {"value": {"name": "Ada"}}


def test_parameters_are_json_where_they_can_be_and_later_ones_win(
    run: Run, server: OneAnswer, tmp_path: Path
) -> None:
    (tmp_path / "p.json").write_text('{"n": 1, "deep": [1]}')
    first = [
        "-p",
        "n",
        "0",
        "-p",
        "s",
        "007",
        "-p",
        "list",
        "[1]",
        "-p",
        "t",
        "true",
        "-p",
        "nan",
        "NaN",
        "-p",
        "big",
        "1e999",
        "-p",
        "neg",
        "-3",
    ]
    file = str(tmp_path / "p.json")
    run("invoke", *first, "-P", file, "-p", "t", "x", "--url", server.url)
    assert server.got["value"] == {
        "n": 1,
        "s": "007",
        "list": [1],
        "t": "x",
        "nan": "NaN",
        "big": "1e999",
        "neg": -3,
        "deep": [1],
    }


@pytest.mark.parametrize("content", ["3", '"a"', "null", "{", '{"a": NaN}', ""])
def test_a_parameter_file_is_an_object_or_an_array(run: Run, tmp_path: Path, content: str) -> None:
    (tmp_path / "p.json").write_text(content)
    code, _, err = run("invoke", "-P", str(tmp_path / "p.json"))
    assert code == 2
    assert "expected a JSON object or array" in err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("event", [[1, {"a": "\u00e4"}], [], {"a": "\u00e4"}])
def test_a_parameter_file_is_what_run_takes(
    run: Run, server: OneAnswer, tmp_path: Path, event: object, encoding: str
) -> None:
    (tmp_path / "p.json").write_text(json.dumps(event, ensure_ascii=False), encoding=encoding)
    assert run("invoke", "-P", str(tmp_path / "p.json"), "--url", server.url)[0] == 0
    assert server.got == {"value": event}


def test_an_event_that_is_an_array_is_joined_to_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text("[1]")
    code, _, err = run("invoke", "-P", str(tmp_path / "p.json"), "-p", "a", "1")
    assert code == 2
    assert "an array is a whole event" in err


def test_replace_names_the_file_as_the_user_does(run: Run, server: OneAnswer, hello: Path) -> None:
    server.status = 502
    server.body = json.dumps({"error": "main__.py does not compile: /tmp/x/main__.py:3"}).encode()
    _, _, err = run("replace", str(hello), "--url", server.url)
    assert "not replaced: hello.py does not compile: hello.py:3" in err


def test_the_only_server_is_found_by_replace_and_invoke(
    run: Run, server: OneAnswer, hello: Path, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / f"{server.server_port}.sock"))
        listener.listen()
        environ = {"HOTWHISK_RUN_DIR": str(tmp_path)}
        code, out, _ = run("replace", str(hello), environ=environ)
        assert code == 0
        assert out.endswith(f" on {server.url}\n")
        assert run("invoke", environ=environ)[0] == 0
    code, _, err = run("invoke", environ=environ)  # a socket that a killed server left
    assert code == 1
    assert "nothing listens on http://127.0.0.1:8080" in err


def test_invoke_of_a_failing_action_ends_with_1(run: Run, server: OneAnswer) -> None:
    server.status, server.body = 502, b'{"error":{"why":"x"}}'
    code, out, err = run("invoke", "--url", server.url)
    assert (code, out) == (1, '{"error":{"why":"x"}}')
    assert err.startswith("status 502 · generation 8")
    assert 'error: {\n  "why": "x"\n}' in err


def test_where_nothing_listens_the_command_to_start_one_is_given(run: Run) -> None:
    with (
        socket.socket() as reserved
    ):  # bound, not listening: connections are refused, and no other process can have the port
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        code, _, err = run("invoke", "--url", url)
    assert code == 1
    assert err == f"hotwhisk: nothing listens on {url}; start one with: hotwhisk serve FILE\n"


def test_a_server_that_hangs_up_is_told(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        code, _, err = run("invoke", "--url", f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()
    assert code == 1
    assert "closed the connection without an answer" in err


def test_an_interrupt_is_quiet(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("hotwhisk.cli._dispatch", interrupted)
    assert run("status") == (130, "", "")


def test_an_unread_output_is_not_an_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "hotwhisk", "--help"],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_folder_is_zipped_the_same_way_twice(tmp_path: Path) -> None:
    folder = tmp_path / "action"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__" / "x.pyc").write_text("")
    (folder / "__main__.py").write_text("def main(args): return args")
    (folder / "tool.sh").write_text("#!/bin/sh")
    (folder / "tool.sh").chmod(0o755)
    os.symlink("tool.sh", folder / "link")
    first = zip_folder(folder)
    os.utime(folder / "__main__.py", (1, 1))
    assert zip_folder(folder) == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.namelist() == ["__main__.py", "link", "tool.sh"]
        assert archive.getinfo("tool.sh").external_attr >> 16 == 0o100755
        assert archive.getinfo("link").external_attr >> 16 == 0o120777
    assert read_code(str(folder)) == (base64.b64encode(first).decode(), True)


def test_a_folder_without_an_entry_or_with_a_dangling_link_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no __main__\.py"):
        zip_folder(tmp_path)
    (tmp_path / "__main__.py").write_text("")
    os.symlink("nowhere/at/all", tmp_path / "link")
    os.symlink("/", tmp_path / "away")
    with pytest.raises(UsageError, match="the link away leads out"):
        zip_folder(tmp_path)


def test_a_link_is_posted_as_one_if_it_leads_to_the_same_wherever_the_folder_lies(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "action"
    folder.mkdir()
    (folder / "__main__.py").write_text("def main(args): return args")
    (tmp_path / "beside.py").write_text("beside")
    links = {"in": "__main__.py", "back": "../action/__main__.py", "out": "../beside.py",
             "whole": f"{folder}/__main__.py"}  # fmt: skip
    for name, target in links.items():
        os.symlink(target, folder / name)
    unpacked = unpack(zip_folder(folder), str(tmp_path / "code"))
    found = {name: Path(unpacked.folder, name) for name in links}
    assert [name for name, path in found.items() if path.is_symlink()] == ["in"]
    assert found["out"].read_text() == "beside"
    assert found["back"].read_text() == found["whole"].read_text() == found["in"].read_text()


def test_what_is_neither_text_nor_an_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="neither text in UTF-8 nor an archive"):
        read_code(str(tmp_path / "x"))


PAGE = b"""<!DOCTYPE html><html><head><title>404 Not Found</title><style>h1 { color: red }</style>
</head><body><h1>Not Found</h1><p>The requested URL was not found.</p></body></html>"""


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (PAGE, '"404 Not Found Not Found The requested URL was not found."'),
        (b"", "no text"),
        (b"\x1b[2J\x00gone", '"[2J gone"'),
        (b"[1]", '"[1]"'),
    ],
)
def test_replace_says_when_the_server_is_none_of_ours(
    server: OneAnswer, run: Run, hello: Path, body: bytes, shown: str
) -> None:
    server.status, server.body, server.headers = 404, body, {}
    code, _, err = run("replace", str(hello), "--url", server.url)
    assert code == 1
    assert err == (
        f"hotwhisk: the answer is not a hotwhisk server's: {server.url}/init sent status 404 "
        f"and {shown}; give the address of a server with --url\n"
    )


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("name=Ada", "unrecognized arguments: name=Ada; did you mean -p name Ada?; see"),
        ('{"name":"Ada"}', "to give JSON, write it to a file and give -P FILE, or to standard"),
        ("Ada", "unrecognized arguments: Ada; see hotwhisk invoke --help"),
    ],
)
def test_a_parameter_without_its_option_is_refused_with_the_option(
    run: Run, word: str, says: str
) -> None:
    code, _, err = run("invoke", word)
    assert code == 2
    assert says in err


def test_replace_names_the_folder_below_that_has_the_entry(run: Run, tmp_path: Path) -> None:
    (tmp_path / "greeter").mkdir()
    (tmp_path / "greeter" / "__main__.py").write_text("def main(event): return event\n")
    code, _, err = run("replace", str(tmp_path))
    assert code == 2
    assert f"did you mean {tmp_path}/greeter?" in err


def test_the_status_begins_a_line_if_it_goes_where_the_body_goes(server: OneAnswer) -> None:
    server.status, server.body = 502, b'{"error":"no"}'
    done = subprocess.run(
        [sys.executable, "-m", "hotwhisk", "invoke", "--url", server.url],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30, check=False,
    )  # fmt: skip
    assert done.stdout.startswith(b'{"error":"no"}\nstatus 502 ')


@pytest.mark.parametrize("content", [b"", b" \n\t\n"])
def test_an_empty_file_is_not_posted(run: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "hello.py").write_bytes(content)
    code, _, err = run("replace", str(tmp_path / "hello.py"))
    assert code == 2
    assert "hello.py is empty; expected code with a handler: def main(event)" in err
