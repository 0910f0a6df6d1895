from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit import HERE, SERVERS, run_kit, server

from hotwhisk_conformance.archives import without, zipped
from hotwhisk_conformance.client import Answer, NoAnswer, TooLate, post
from hotwhisk_conformance.command import main
from hotwhisk_conformance.flavours import PROFILES
from hotwhisk_conformance.streams import SENTINEL, Streams

ENGINE = """#!/bin/sh
# A container engine whose containers are processes of this machine.
folder={folder}
case "$1" in
  run)
    if [ "$2" = --rm ]; then exec {python} -E -S {servers}/python_runtime.py "" "$5" "$6"; fi
    port=$({python} -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0));
print(s.getsockname()[1])')
    for word; do case "$word" in --env=*) export "${{word#--env=}}";; esac; done
    PORT=$port {python} -E -S {servers}/python_runtime.py "" >$folder/$port.out 2>$folder/$port.err &
    echo $! >$folder/$port.pid
    echo $port ;;
  port) echo 127.0.0.1:$2 ;;
  logs) cat $folder/$2.out; cat $folder/$2.err >&2 ;;
  kill) kill -9 $(cat $folder/$2.pid) ;;
  rm) kill -9 $(cat $folder/$3.pid) 2>/dev/null; rm $folder/$3.* ;;
esac
"""


@contextmanager
def running(name: str, fault: str = "") -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-E", "-S", str(SERVERS / f"{name}.py"), fault],
        env={**os.environ, "PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_streams_at_a_url_are_not_checked_and_never_pass() -> None:
    with running("python_runtime", "takes a second init") as url:
        result = run_kit("--url", url)
    assert result.having("not checked") >= {"B3", "B5", "B6", "P1", "P4", "A1"}
    assert result.having("passed") == {"B1", "B2", "B10", "P5", "P8", "P9", "P10", "V4"}
    assert result.having("not run") == {"B9", "V1", "V2", "V3"}
    assert result.having("failed") == {"B4"}
    assert "1 failed" in result.output


def test_a_server_that_is_initialised_already_is_no_failure() -> None:
    with running("python_runtime") as url:
        assert post(url, "/init", {"value": {"code": "def main(a): return a"}}, 10).status == 200
        result = run_kit("--url", url)
    assert result.code == 0
    assert not result.having("passed")
    assert "--restart-command" in result.outcomes["B5"]


def test_containers_are_started_and_their_logs_read(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    text = ENGINE.format(folder=tmp_path, python=sys.executable, servers=SERVERS)
    engine.write_text(text, encoding="utf-8")
    engine.chmod(0o755)
    result = run_kit("--image", "any", "--engine", str(engine), "--requirement", "made-up:made_up")
    assert result.code == 0, result.output
    assert len(result.having("passed")) == 27
    assert sorted(os.listdir(tmp_path)) == ["engine"]


def test_all_profiles_in_one_table() -> None:
    profiles = [word for name in PROFILES for word in ("--profile", name)]
    result = run_kit("--command", server("python_runtime", ""), *profiles, "--cases", "b1_ or c2")
    for name in PROFILES:
        assert f"profile {name}" in result.output
    assert "FAIL  B1   test_b1_initialization_with_no_code[skeleton]" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of --image, --url and --command"),
        (["--comand", "x"], "unrecognized arguments: --comand"),
        (["--command", "x", "--url", "http://y"], "not allowed with"),
        (["--command", "x", "--profile", "perl"], "invalid choice"),
        (["--command", 'x "y'], "No closing quotation"),
        (["--command", " "], "the command is empty"),
        (["--command", "x", "--compile-command", "'"], "No closing quotation"),
        (["--command", "x", "--timeout", "soon"], "a number of seconds"),
        (["--command", "x", "--timeout", "inf"], "a number of seconds"),
        (["--url", "http://[::1"], "expected a URL"),
        (["--url", "127.0.0.1:8080"], "expected a URL"),
    ],
)
def test_what_cannot_be_meant(arguments: list[str], message: str) -> None:
    result = run_kit(*arguments)
    assert result.code == 2
    assert message in result.output


def test_a_command_that_cannot_be_started_ends_it() -> None:
    result = run_kit("--command", "/does/not/exist", "--cases", "b1_ or p9")
    assert result.code == 2
    assert result.having("failed") == {"B1"}
    assert "there is nothing to test: /does/not/exist: No such file" in result.output


def test_a_runtime_that_ends_is_not_waited_for_and_its_words_are_shown() -> None:
    command = f"{sys.executable} -S -c 'raise SystemExit(\"no port for me\")'"
    result = run_kit("--command", command)
    assert result.code == 2
    assert result.having("failed") == {"B1"}
    assert "no port for me" in result.output
    assert "there is nothing to test: the runtime has ended" in result.output


def test_a_command_that_never_listens_is_waited_for_once() -> None:
    result = run_kit("--command", "sleep 60", "--timeout", "0.5")
    assert result.code == 2
    assert set(result.outcomes) == {"B1"}
    (message,) = [line for line in result.output.splitlines() if "nothing to test" in line]
    assert "no server listens" in message
    assert "is in PORT" in message


def test_a_runtime_that_listened_once_is_tried_to_the_end(tmp_path: Path) -> None:
    command = server("python_runtime", "")
    script = tmp_path / "once"
    script.write_text(f"#!/bin/sh\nmkdir {tmp_path}/started || exit 3\nexec {command}\n")
    script.chmod(0o755)
    result = run_kit("--command", str(script), "--cases", "b1_ or b2_ or p9")
    assert result.code == 1
    assert result.having("passed") == {"B1"}
    assert result.having("failed") == {"B2", "P9"}


def test_no_case_is_no_success() -> None:
    assert run_kit("--command", "x", "--cases", "nothing_is_called_so").code == 2


def test_the_readme_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = {word.strip(",;[]") for word in capsys.readouterr().out.split() if word[:3].strip("[")}
    options = {word for word in shown if word.startswith("--")} - {"--help", "--version"}
    text = (HERE.parent / "README.md").read_text(encoding="utf-8")
    assert len(options) > 10
    assert not {option for option in options if f"`{option}" not in text}


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                asked = b""
                while not asked.endswith(b"{}"):  # a close with unread bytes would be a reset
                    asked += connection.recv(1 << 16)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n{}", "without Content-Length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Content-Length"),
        (b"HTTP/1.1 204 No\r\n\r\n", "204"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Encoding: gzip\r\n\r\n{}", "compressed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}", "3 bytes too early"),
        (b"", "RemoteDisconnected"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n" + b"x" * 1048577, "longer"),
    ],
)
def test_what_is_no_answer_to_the_platform(answer: bytes, message: str) -> None:
    with answering(answer) as url, pytest.raises(NoAnswer, match=message):
        post(url, "/run", {}, 10)


def test_silence_is_told_from_refusal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(TooLate, match="no answer within"):
            post(url, "/run", {}, 0.1)
    with pytest.raises(TooLate, match="no server listens"):
        post(url, "/run", {}, 0.1)


def test_nan_and_garbage_are_no_json() -> None:
    assert Answer(200, b'{"a":NaN}').document is ...
    assert Answer(200, b"OK").document is ...
    assert Answer(502, b'{"error":"x"}').error == "x"
    assert Answer(502, b'{"error":{}}').error == ""


def test_sentinels_are_counted_wherever_they_stand() -> None:
    streams = Streams(f"a\n{SENTINEL}\nb{SENTINEL}\n", "c\n")
    assert streams.sentinels() == (2, 0)
    assert streams.without_sentinels() == Streams("a\n\nb", "c")


def test_an_archive_without_a_member_keeps_the_modes() -> None:
    import base64
    import io
    import zipfile

    content = base64.b64decode(zipped({"exec": "x", "main__.py": "y"}, executable={"exec"}))
    left = zipfile.ZipFile(io.BytesIO(without(content, {"main__.py"}))).infolist()
    assert [(each.filename, each.external_attr >> 16) for each in left] == [("exec", 0o100755)]
