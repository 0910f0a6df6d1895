from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hotwhisk.cli import history, main
from hotwhisk.cli.locate import url_of
from hotwhisk.cli.status import render

STATUS = {
    "version": 1,
    "pid": 4711,
    "profile": "plain",
    "port": 8080,
    "uptime": 200.0,
    "generation": {
        "number": 7,
        "digest": "ab12" * 16,
        "workers": [
            {"pid": 5, "state": "idle", "connections": 3},
            {"pid": 66666, "state": "handling", "connections": 0, "new": 1},
        ],
    },
    "previous": {"number": 6, "digest": "cd34" * 16},
    "connections": 3,
    "parked": 0,
    "replacements": 7,
    "rollbacks": 0,
    "answered_for_the_dead": 1,
    "deaths": [{"pid": 9, "generation": 6, "how": "signal 9", "during": "a request", "at": 1.0}],
    "inits": [
        {"generation": 7, "ms": 3.14, "ok": True, "error": None},
        {"generation": 8, "ms": 9.0, "ok": False, "error": "SyntaxError:\nline 1"},
    ],
    "unknown": "tolerated",
}


class Peer:
    answer: object = STATUS
    asked: object = None
    ended = False


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    peer = Peer()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "8080.sock"))
        listener.listen()

        def serve() -> None:
            while not peer.ended:
                connection, _ = listener.accept()
                with connection, connection.makefile() as lines:
                    if line := lines.readline():  # else it only checked whether a server listens
                        peer.asked = json.loads(line)
                        connection.sendall(json.dumps(peer.answer).encode() + b"\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield peer
        peer.ended = True
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(tmp_path / "8080.sock"))
            last.shutdown(socket.SHUT_WR)
            thread.join()


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    def run(*argv: str) -> tuple[int, str, str]:
        code = main(argv, {"HOTWHISK_RUN_DIR": str(tmp_path)})
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_status_as_json_is_all_of_the_answer(run: Run, peer: Peer) -> None:
    code, out, err = run("status", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == STATUS
    assert peer.asked == {"version": 1, "ask": "status"}


AFTER = {"generation": 7, "requests": 40, "failed": 9, "deaths": 1, "p95_ms": 12.34}
BEFORE = {"generation": 6, "requests": 900, "failed": 0, "deaths": 0, "p95_ms": None}


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (
            "running",
            "generation 7 is on probation until 500 requests: 40 requests, 9 failed, 1 died",
        ),
        ("failed", "generation 7 failed its probation: 9 of 40 requests failed"),
        ("passed", "generation 7 has passed its probation: 40 requests, 9 failed, 1 died"),
        ("ended", ""),
    ],
)
def test_status_has_a_line_on_the_latest_probation(state: str, line: str) -> None:
    probation = {
        "state": state, "until": None, "requests": 500, "versions": [AFTER, BEFORE],
        "fault": "9 of 40 requests failed",
    }  # fmt: skip
    shown = [each for each in render({**STATUS, "probation": probation}).splitlines()
             if "probation" in each]  # fmt: skip
    assert [each.startswith(line) for each in shown] == [True] * bool(line)


def test_status_for_people() -> None:
    shown = render(STATUS).splitlines()
    assert shown == [
        "port 8080 · plain profile · pid 4711 · up 3 min",
        "generation 7 (sha256:ab12ab12ab12…) current",
        "generation 6 (sha256:cd34cd34cd34…) before it; hotwhisk rollback makes it current again",
        "",
        "  pid    state     connections",
        "  5      idle      3",
        "  66666  handling  0",
        "",
        "3 connections · 0 parked · 7 replacements · 0 rollbacks · 1 answered for dead workers",
        "",
        "deaths",
        shown[11],
        "",
        "inits",
        "  generation 7  3.1 ms  became current",
        "  generation 8  9.0 ms  refused: SyntaxError: line 1",
    ]
    assert shown[11].endswith("pid 9  generation 6  signal 9 during a request")


def test_status_before_the_first_version() -> None:
    shown = render({"generation": {"number": 0, "digest": None, "workers": []}})
    assert shown.splitlines()[1] == "no current version yet"


def test_status_of_another_version_is_shown_as_far_as_it_is_known() -> None:
    assert "generation -" in render({})
    assert "-" in render({"generation": 7, "deaths": [{}], "inits": [{}], "uptime": "x"})


def test_rollback(run: Run, peer: Peer) -> None:
    peer.answer = {"version": 1, "ok": True, "generation": 9}
    assert run("rollback") == (0, "rolled back: generation 9 is current\n", "")
    assert peer.asked == {"version": 1, "ask": "rollback"}


def test_rollback_to_a_generation(run: Run, peer: Peer) -> None:
    peer.answer = {"version": 1, "ok": True, "generation": 9}
    assert run("rollback", "4") == (0, "rolled back: generation 9 is current\n", "")
    assert peer.asked == {"version": 1, "ask": "rollback_to", "generation": 4}


@pytest.mark.parametrize("word", ["0", "-1", "x", "sha256:0"])
def test_what_is_no_generation_is_refused(run: Run, word: str) -> None:
    code, _, err = run("rollback", "--", word)
    assert code == 2
    assert f'expected the number of a generation, as hotwhisk history shows it, got "{word}"' in err


HISTORY = {
    "version": 1,
    "generation": 12,
    "folder": "/state",
    "problem": "",
    "versions": [
        {"number": 12, "digest": "sha256:" + "ab" * 32, "at": 0, "how": "rollback",
         "rollback_of": 9, "name": None, "kept": True, "bytes": 7},
        {"number": 9, "digest": "sha256:" + "cd" * 32, "at": 0, "how": "file",
         "rollback_of": None, "name": "/home/mike/hello.py", "kept": True, "bytes": 7},
        {"number": 8, "how": "replace", "unknown": "tolerated"},
    ],
}  # fmt: skip


def test_history_for_people() -> None:
    lines = [line.split() for line in history.render(HISTORY).splitlines()]
    assert lines[0] == ["generation", "digest", "since", "came", "by", "state"]
    assert [lines[1][0], lines[1][1], *lines[1][4:]] == [
        "12", "abababababab…", "rollback", "to", "9", "current"
    ]  # fmt: skip
    assert [lines[2][0], lines[2][1], *lines[2][4:]] == ["9", "cdcdcdcdcdcd…", "hello.py", "kept"]
    assert lines[3] == ["8", "-", "-", "replace", "not", "kept"]


def test_history_says_what_is_wrong_and_how_a_restart_keeps_it() -> None:
    full = {**HISTORY, "problem": "the history is not kept: No space left on device"}
    assert history.render(full).endswith("/state: the history is not kept: No space left on device")
    shown = history.render({**HISTORY, "folder": None})
    assert shown.endswith("a restart forgets them; hotwhisk serve --state FOLDER keeps them")


@pytest.mark.parametrize("answer", [{}, {"versions": []}, {"versions": 7}, {"versions": [7]}])
def test_history_before_the_first_version(answer: dict[str, object]) -> None:
    assert history.render(answer) == "no version was current yet"


def test_history_as_json_is_all_of_the_answer(run: Run, peer: Peer) -> None:
    peer.answer = HISTORY
    code, out, err = run("history", "--json")
    assert (code, json.loads(out), err) == (0, HISTORY, "")
    assert peer.asked == {"version": 1, "ask": "history"}


def test_a_refusal_is_told(run: Run, peer: Peer) -> None:
    peer.answer = {"version": 1, "ok": False, "error": "nothing to roll back to"}
    assert run("rollback") == (1, "", "hotwhisk: nothing to roll back to\n")


def test_another_version_of_the_protocol_is_refused(run: Run, peer: Peer) -> None:
    peer.answer = {"version": 2}
    code, _, err = run("status")
    assert code == 1
    assert "speaks version 2" in err


def test_without_a_server_the_others_are_named(run: Run, peer: Peer) -> None:
    code, _, err = run("status", "--port", "9999")
    assert code == 1
    assert "no server of yours on port 9999" in err
    assert "there is one on port 8080: give --port" in err


def test_without_any_server(run: Run) -> None:
    code, _, err = run("status")
    assert code == 1
    assert "no server of yours on port 8080" in err
    assert "start one with: hotwhisk serve FILE" in err


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Make sockets of that name, on which a server listens that sends nothing."""
    open_: list[socket.socket] = []

    def listen(name: str) -> None:
        open_.append(socket.socket(socket.AF_UNIX))
        open_[-1].bind(str(tmp_path / name))
        open_[-1].listen()

    yield listen
    for each in open_:
        each.close()


def test_the_address_may_be_left_out_where_it_is_no_question(
    run: Run, peer: Peer, tmp_path: Path
) -> None:
    (tmp_path / "8080.sock").rename(tmp_path / "8080@127.0.0.2.sock")
    (tmp_path / "8080.sock").symlink_to(tmp_path / "8080@127.0.0.2.sock")  # for the fixture's end
    assert run("status", "--host", "127.0.0.2")[0] == 0
    assert peer.asked == {"version": 1, "ask": "status"}


def test_several_addresses_with_one_port_are_named(run: Run, listen: Callable[[str], None]) -> None:
    listen("8080@127.0.0.2.sock")
    listen("8080@127.0.0.3.sock")
    code, _, err = run("status")
    assert code == 1
    assert "several servers have port 8080; give --host and one of: 127.0.0.2, 127.0.0.3" in err
    code, _, err = run("status", "--host", "127.0.0.1")
    assert "there is one on port 8080 of 127.0.0.2, on port 8080 of 127.0.0.3: give --host" in err


def test_the_only_server_is_found_whatever_its_port(run: Run, peer: Peer, tmp_path: Path) -> None:
    (tmp_path / "8080.sock").rename(tmp_path / "9123.sock")
    assert run("status", "--json")[0] == 0
    assert peer.asked == {"version": 1, "ask": "status"}
    (tmp_path / "8080.sock").symlink_to(tmp_path / "9123.sock")  # for the fixture's end


def test_several_servers_are_named_where_none_has_the_usual_port(
    run: Run, listen: Callable[[str], None]
) -> None:
    listen("9001.sock")
    listen("9000@127.0.0.2.sock")
    for command in (["status"], ["rollback"], ["invoke"], ["replace", __file__]):
        code, _, err = run(*command)
        assert code == 1
        assert "several servers run, on port 9000 of 127.0.0.2, on port 9001; give --port" in err


@pytest.mark.parametrize(
    ("place", "url"),
    [
        ("9000", "http://127.0.0.1:9000"),
        ("9000@127.0.0.2", "http://127.0.0.2:9000"),
        ("9000@::1", "http://[::1]:9000"),
    ],
)
def test_a_server_is_called_where_its_socket_says(place: str, url: str) -> None:
    assert url_of(place) == url


def test_one_of_a_thing_is_told_as_one() -> None:
    counts = {"connections": 1, "replacements": 1, "rollbacks": 1, "parked": 1}
    shown = render({**counts, "generation": {"number": 1}})
    assert "1 connection · 1 parked · 1 replacement · 1 rollback · - answered" in shown
