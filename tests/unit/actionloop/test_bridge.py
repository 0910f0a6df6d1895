"""Lines between the server and a program, and how programs are recognised by their content."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotwhisk.actionloop import bridge, compiling
from hotwhisk.actionloop.bridge import (
    Program,
    check_acknowledgement,
    environment,
    is_result,
    request_line,
)
from hotwhisk.actionloop.child import ChildEnded
from hotwhisk.actionloop.proxy_variables import PROXY_VERSION
from hotwhisk.artifact import artifact
from hotwhisk.artifact.artifact import Kind, detect
from hotwhisk.config.config import Config
from hotwhisk.config.platform import Profile, image_compiler, image_jar
from hotwhisk.errors import BuildFailed, LoadFailed, UsageError
from hotwhisk.system.children import ExitStatus
from tests.unit.artifact.test_artifact import ELF, MAIN, file, tarred, zipped

LAUNCHER = b"import json\nfrom main__ import hello as main\n"
COMPILED = (
    file("exec", b"#!/bin/sh\n"),
    file("exec__.py", LAUNCHER),
    file("main__.py", b"def hello(args): return args\n"),
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"", b"{}\n"), (b" \r\n", b"{}\n"), (b"{}", b"{}\n"), (b'\n{\r\n"a":\n1}\n', b'{"a":1}\n'),
        (memoryview(b'{"a": "x y"}'), b'{"a": "x y"}\n'), (b'\xef\xbb\xbf{"a":1}', b'{"a":1}\n'),
    ],
)  # fmt: skip
def test_a_request_is_one_line(body: bytes, line: bytes) -> None:
    assert request_line(body) == line


@given(
    st.dictionaries(st.text(), VALUES),
    st.sampled_from([None, 0, 3, "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"]),
)
def test_any_request_is_one_line_with_the_same_value(
    value: object, indent: int | str | None, encoding: str
) -> None:
    body = json.dumps(value, indent=indent, ensure_ascii=False)
    line = request_line(body.encode(encoding))
    assert line.startswith(b"{")
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert b"\r" not in line
    assert json.loads(line) == value


@pytest.mark.parametrize(
    ("line", "good"),
    [
        (b"{}\n", True), (b"[]\r\n", True), (b' {"a": "NaN"}\n', True), (b"null\n", False), (b'"a"\n', False),
        (b"1\n", False), (b'{"a": NaN}\n', False), (b"[1, -Infinity]\n", False), (b"[" * 99_999 + b"]" * 99_999, False),
    ],
)  # fmt: skip
def test_a_line_is_a_result_if_it_is_an_object_or_an_array(line: bytes, good: bool) -> None:
    assert is_result(line) is good


@pytest.mark.parametrize(
    "line", [b"\n", b"ok\n", b"{'a': 1}\n", b"\xff\n", b"{}{}\n", b"{\0}\n", b"{\0}\0\n"]
)
def test_a_line_that_is_not_json_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        is_result(line)


@given(VALUES)
def test_any_object_or_array_is_a_result(value: object) -> None:
    assert is_result(json.dumps(value).encode() + b"\n") is isinstance(value, (dict, list))


def test_an_acknowledgement_must_say_ok() -> None:
    check_acknowledgement(b'{ "ok": true, "more": 1 }\n')
    for line in (b"{}\n", b'{"ok": 1}\n', b"[]\n", b'"ok"\n'):
        with pytest.raises(LoadFailed, match=r"The action did not initialize properly\."):
            check_acknowledgement(line)
    with pytest.raises(LoadFailed, match="the acknowledgement is not JSON"):
        check_acknowledgement(b"ready\n")


def test_the_environment_of_a_program() -> None:
    given = {"PATH": "/bin", "__OW_NAMESPACE": "ns"}
    version = {"__OW_PROXY_VERSION": PROXY_VERSION}
    assert environment(given, Config()) == given | version
    config = Config(openwhisk=True, wait_for_ack=True, execution_env="own/env")
    own = {"__OW_WAIT_FOR_ACK": "1", "__OW_EXECUTION_ENV": "own/env"}
    assert environment(given, config) == given | version | own
    # A variable of an image or an /init is used first, as in the official proxy.
    assert environment({"__OW_PROXY_VERSION": "9"}, config)["__OW_PROXY_VERSION"] == "9"


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ([file("exec", ELF)], Kind.EXECUTABLE), ([file("./exec", b"#!/bin/sh\n"), MAIN], Kind.EXECUTABLE),
        ([file("exec", b"#!/usr/bin/env python3\n")], Kind.EXECUTABLE), ([file("exec", b"x = 1\n")], Kind.FOLDER),
        ([file("exec", b"")], Kind.FOLDER), ([file("sub/exec", ELF), MAIN], Kind.FOLDER), (COMPILED, Kind.COMPILED),
        (COMPILED[:2], Kind.EXECUTABLE), (COMPILED[1:], Kind.FOLDER),
    ],
)  # fmt: skip
def test_the_kind_of_an_archive_depends_on_its_exec(
    pack: object, members: list[object], kind: Kind
) -> None:
    assert detect(pack(*members)) is kind  # type: ignore[operator]


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_program_is_executable_and_a_source_is_renamed(tmp_path: Path, pack: object) -> None:
    program = artifact.unpack(pack(file("exec", ELF)), str(tmp_path / "1"))  # type: ignore[operator]
    assert program.entry == f"{tmp_path}/1/exec"
    assert os.access(program.entry, os.X_OK)
    members = (MAIN, file("exec", b"def main(a): return ['exec']\n"))
    source = artifact.unpack(pack(*members), str(tmp_path / "2"))  # type: ignore[operator]
    assert Path(source.entry).name == "__main__.py"
    assert b"['exec']" in Path(source.entry).read_bytes()
    alone = artifact.unpack(b"#!/bin/sh\n", str(tmp_path / "3"))
    assert os.access(alone.entry, os.X_OK)


def test_what_the_official_compiler_made_is_run_by_the_name_it_was_made_with(
    tmp_path: Path,
) -> None:
    compiled = artifact.unpack(zipped(*COMPILED), str(tmp_path / "1"))
    assert (compiled.kind, compiled.main) == (Kind.COMPILED, "hello")
    other = artifact.unpack(
        zipped(*COMPILED[:1], file("exec__.py"), MAIN, COMPILED[2]), str(tmp_path / "2")
    )
    assert other.main == ""


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_compiler_gets_absolute_folders_and_is_not_run_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = script(tmp_path / "compile", f'echo "$@" >>{tmp_path}/asked; cp "$2/exec" "$3/exec"')

    def compiler(source: str, target: str) -> None:
        assert compiling.run(command, "Hello", (source, target)) == b""

    for _ in range(2):
        unpacked = artifact.unpack(b"package main", "in/bin", compiler)
        assert (unpacked.kind, unpacked.entry) == (Kind.EXECUTABLE, "in/bin/exec")
    (asked,) = (tmp_path / "asked").read_text().splitlines()
    main, source, target = asked.split()
    assert (main, target) == ("Hello", f"{tmp_path}/in/bin")
    assert source.startswith(f"{tmp_path}/in/")
    assert sorted(os.listdir("in")) == ["bin", "bin.digest"]
    artifact.unpack(zipped(*COMPILED), "in/ready", compiler)
    artifact.unpack(ELF, "in/elf", compiler)
    assert len((tmp_path / "asked").read_text().splitlines()) == 1


def test_a_java_archive_goes_to_the_compiler_whole_if_the_image_says_so(tmp_path: Path) -> None:
    text = f'cd "$2"; echo * >>{tmp_path}/asked; touch "$3/exec"'
    command = script(tmp_path / "compile", text)
    jar = zipped(file("META-INF/MANIFEST.MF"), file("Main.class"))
    other = zipped(file("Main.class"))
    for number, (content, name) in enumerate([(jar, "exec.jar"), (jar, None), (other, "exec.jar")]):
        artifact.unpack(
            content,
            str(tmp_path / str(number)),
            lambda *folders: compiling.run(command, "main", folders) and None,
            jar=name,
        )
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["exec.jar", "META-INF Main.class", "Main.class"]


def test_the_name_for_java_archives_must_not_be_a_path() -> None:
    assert image_jar({"OW_SAVE_JAR": ""}) is None
    assert image_jar({"OW_SAVE_JAR": "exec.jar"}) == "exec.jar"
    for name in ("/tmp/exec.jar", "..", "a/b"):
        with pytest.raises(UsageError, match="expected the name of a file"):
            image_jar({"OW_SAVE_JAR": name})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo one; echo two >&2; exit 3", "one\ntwo"), ("exit 3", "left with status 3"),
        ("echo warning", "left no exec\nwarning"),
    ],
)  # fmt: skip
def test_a_compiler_that_fails_leaves_nothing(tmp_path: Path, text: str, said: str) -> None:
    command = script(tmp_path / "compile", text)
    with pytest.raises(BuildFailed, match=said):
        artifact.unpack(
            b"x", str(tmp_path / "1"), lambda *f: compiling.run(command, "main", f) and None
        )
    assert [path.name for path in tmp_path.iterdir()] == ["compile"]
    with pytest.raises(BuildFailed, match="cannot be run: No such file"):
        compiling.run(str(tmp_path / "none"), "main", ("a", "b"))


def test_an_image_for_python_needs_no_compiler() -> None:
    assert image_compiler({}) is None
    assert image_compiler({"OW_COMPILER": "/bin/compile"}) == "/bin/compile"
    for name in ("openwhisk/action-python-v3.12", "apacheopenserverless/runtime-python-v3.13.4"):
        assert image_compiler({"OW_COMPILER": "/bin/compile", "OW_EXECUTION_ENV": name}) is None


@pytest.mark.parametrize(
    ("ending", "kills", "profile", "status", "text"),
    [
        (ExitStatus(signal=9), 1, Profile.OPENWHISK, 400, "The action exhausted its memory and was aborted."),
        (ExitStatus(signal=9), 1, Profile.PLAIN, 502, "The action exhausted its memory and was aborted."),
        (ExitStatus(signal=11), 1, Profile.OPENWHISK, 400, "command exited"),
        (ExitStatus(signal=9), 0, Profile.OPENWHISK, 400, "command exited"),
        (ExitStatus(status=3), 0, Profile.PLAIN, 502, "the program ended with exit status 3 during this request; a fresh one serves"),
    ],
)  # fmt: skip
def test_the_response_for_a_program_that_exited(
    ending: ExitStatus, kills: int, profile: Profile, status: int, text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    program = Program.__new__(Program)
    program._oom_kills = 0
    monkeypatch.setattr(bridge, "oom_kills", lambda: kills)
    assert program._explain(ChildEnded(ending), profile) == (
        status,
        json.dumps({"error": text}, separators=(",", ":")).encode() + b"\n",
    )
