"""
The entry point of an image: ``-version``, ``-debug``, ``-compile``, ``-env``.

What it compiles runs here, and by the official way, which is its ``exec``.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.client import Connection, init_once, run_once
from tests.support.server import ROOT, Server

from . import programs

pytestmark = pytest.mark.slow

HOTWHISK = (sys.executable, "-m", "hotwhisk")
HELLO = "def hello(args):\n    return {'hello': args.get('name', 'stranger')}\n"
AS_CHILD = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])"
OFFICIAL = ["exec", "exec.env", "exec__.py", "main__.py"]


def hotwhisk(
    *arguments: str, code: bytes = b"", env: dict[str, str] | None = None, status: int = 0
) -> subprocess.CompletedProcess[bytes]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **(env or {})}
    done = subprocess.run(
        [*HOTWHISK, *arguments], input=code, capture_output=True, env=environ, check=False
    )
    assert done.returncode == status, done.stderr
    return done


def compiled(code: bytes, main: str = "main", **env: str) -> bytes:
    done = hotwhisk("proxy", "-compile", main, code=code, env=env)
    assert done.stderr == b""
    return done.stdout


def names(content: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return sorted(archive.namelist())


def by_exec(content: bytes, folder: Path, *requests: object, **env: str) -> list[object]:
    """Return what the official proxy gets if it runs ``exec`` with the variables that it passes."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
    (folder / "exec").chmod(0o755)
    reading, writing = os.pipe()
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    python = Path(sys.executable).parent
    subprocess.run(
        [sys.executable, "-c", AS_CHILD, str(writing), str(folder / "exec")],
        input=lines.encode(),
        pass_fds=[writing],
        env={"PATH": f"{python}:/usr/bin:/bin", "__OW_WAIT_FOR_ACK": "1", **env},
        check=True,
    )
    os.close(writing)
    with open(reading, "rb") as answers:
        return [json.loads(line) for line in answers]


def test_version() -> None:
    for arguments in (["-version"], ["proxy", "-version"], ["proxy", "--port", "1", "-version"]):
        said = hotwhisk(*arguments).stdout.decode()
        assert said.startswith("OpenWhisk ActionLoop Proxy v1.17.1, built with hotwhisk ")


@pytest.mark.parametrize("before", [(), ("proxy",), ("proxy", "--port", "0")])
def test_a_compiled_source_runs_here_and_there(tmp_path: Path, before: tuple[str, ...]) -> None:
    done = hotwhisk(*before, "-compile", "hello", code=HELLO.encode())
    assert names(done.stdout) == OFFICIAL
    requests = ({"value": {"name": "Ada"}, "deadline": 1, "x": None}, {"value": None})
    answers = by_exec(done.stdout, tmp_path, *requests)
    assert answers == [{"ok": True}, {"hello": "Ada"}, {"hello": "stranger"}]
    with Server("--openwhisk") as server:
        # The name of the handler is the one it was compiled with.
        with Connection(server.address) as connection:
            assert connection.init(done.stdout, "main").status == 200
        assert run_once(server.address, {"name": "Bob"}).value("hello") == "Bob"


def test_compiling_is_repeatable() -> None:
    assert compiled(HELLO.encode(), "hello") == compiled(HELLO.encode(), "hello")


def test_an_archive_keeps_its_files_and_links(tmp_path: Path) -> None:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name, text in (
            (
                "./__main__.py",
                "from pack import where\ndef main(a): return [where, open('data').read()]\n",
            ),
            ("./pack/__init__.py", "where = 'pack'\n"),
            ("./text", "read\n"),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
        info = tarfile.TarInfo("./data")
        info.type, info.linkname = tarfile.SYMTYPE, "text"
        archive.addfile(info)
    content = compiled(written.getvalue())
    assert names(content) == sorted([*OFFICIAL, "data", "pack/__init__.py", "text"])
    with Server() as server:
        server.post(content)
        assert run_once(server.address, {}).body == b'["pack","read\\n"]\n'


def test_requirements_are_installed_where_both_look(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "greeting").mkdir(parents=True)
    (package / "greeting" / "__init__.py").write_text("TEXT = 'from the requirement'\n")
    wheel = package / "greeting-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(package / "greeting" / "__init__.py", "greeting/__init__.py")
        archive.writestr(
            "greeting-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n",
        )
        archive.writestr(
            "greeting-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("greeting-1.0.dist-info/RECORD", "")
    source = "import greeting\ndef main(a): return {'text': greeting.TEXT}\n"
    files: dict[str, str | bytes] = {"__main__.py": source, "requirements.txt": f"{wheel}\n"}
    content = compiled(programs.zipped(files), PIP_NO_INDEX="1")
    assert "virtualenv/bin/activate_this.py" in names(content)
    answers = by_exec(content, tmp_path / "there", {"value": {}})
    assert answers == [{"ok": True}, {"text": "from the requirement"}]
    with Server() as server:
        server.post(content)
        assert run_once(server.address, {}).value("text") == "from the requirement"


def test_the_environment_is_that_of_the_image_or_the_official_one_of_this_python(
    tmp_path: Path,
) -> None:
    with zipfile.ZipFile(io.BytesIO(compiled(HELLO.encode()))) as archive:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        assert archive.read("exec.env").decode() == f"openwhisk/action-python-v{version}"
    own = "openwhisk/action-python-v9"
    done = hotwhisk(
        "-compile", "hello", "-env", json.dumps({"OW_EXECUTION_ENV": own}), code=HELLO.encode()
    )
    with zipfile.ZipFile(io.BytesIO(done.stdout)) as archive:
        assert archive.read("exec.env").decode() == own
    with pytest.raises(subprocess.CalledProcessError):
        by_exec(done.stdout, tmp_path, {}, __OW_EXECUTION_ENV="another")
    assert by_exec(done.stdout, tmp_path, __OW_EXECUTION_ENV=own) == [{"ok": True}]
    for there, status in ((own, 200), ("another", 502)):
        with Server("--openwhisk", env={"OW_EXECUTION_ENV": there}) as server:
            assert init_once(server.address, done.stdout).status == status


def test_a_program_is_taken_as_it_is() -> None:
    assert names(compiled(programs.BASH.encode())) == ["exec"]
    with Server() as server:
        server.post(compiled(programs.zipped({"exec": programs.BASH, "data": "x"})))
        assert run_once(server.address, {"name": "Ada"}).value("name") == "Ada"


def test_the_images_own_compiler_is_asked(tmp_path: Path) -> None:
    compiler = tmp_path / "compile"
    compiler.write_text('#!/bin/sh\n{ echo "#!/bin/$1$VERSION"; cat "$2/exec"; } >"$3/exec"\n')
    compiler.chmod(0o755)
    env = {"OW_COMPILER": str(compiler)}
    arguments = ("-env", '{"VERSION": 5}', "-compile=sh")
    done = hotwhisk(*arguments, code=b"true\n", env=env)
    with zipfile.ZipFile(io.BytesIO(done.stdout)) as archive:
        assert archive.read("exec") == b"#!/bin/sh5\ntrue\n"
    env["OW_EXECUTION_ENV"] = "openwhisk/action-python-v3.12"
    done = hotwhisk("-compile", "hello", code=HELLO.encode(), env=env)
    assert names(done.stdout) == OFFICIAL


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["-compile", "main"], b"def main(:\n", "does not compile"),
        (["-compile", "main"], b"", "reads the code from standard input"),
        (["-compile", "a.b"], b"x = 1\n", "expected the name of a function"),
        (["-compile"], b"x = 1\n", "-compile needs a value"),
        (["-compile", "main"], programs.zipped({"other.py": ""}), "does not include __main__.py"),
        (["-compile", "main"], b"PK\3\4broken", "cannot be unpacked"),
        (["-compile", "main", "-env", "{"], b"x = 1\n", "-env is not JSON"),
        (["-compile", "main", "-env", "[]"], b"x = 1\n", "must be a JSON object"),
        (["-env", "{}"], b"", "-env goes with -compile"),
        (
            ["-compile", "main"],
            programs.zipped({"__main__.py": "", "requirements.txt": "./no-such.whl\n"}),
            "requirements.txt cannot be installed",
        ),
    ],
)  # fmt: skip
def test_failures_are_told_on_standard_error(arguments: list[str], code: bytes, said: str) -> None:
    done = hotwhisk(*arguments, code=code, status=1)
    assert said in done.stderr.decode()
    assert done.stdout == b""


def test_debug_serves_as_openwhisk_and_allows_another_init(tmp_path: Path) -> None:
    command = (*HOTWHISK, "proxy", "-debug", "--run-dir", str(tmp_path))
    with Server(command=command) as server:
        server.post("def main(a): return [1]\n")
        server.post("def main(a): return [2]\n")
        assert run_once(server.address, {}).body == b"[2]\n"
        assert "XXX_THE_END_OF_A_WHISK_ACTIVATION_XXX" in server.stdout()


def test_the_entry_point_takes_its_flags_with_one_dash() -> None:
    for flag, meant in (("--debug", "-debug"), ("--env", "-env"), ("--compile", "-compile")):
        done = hotwhisk("proxy", flag, status=2)
        assert f"unknown option {flag}" in done.stderr.decode()
        assert meant in done.stderr.decode()


def test_the_launcher_of_the_image_is_the_entry_point_by_its_name(tmp_path: Path) -> None:
    for name, said in (("proxy", b"OpenWhisk ActionLoop Proxy v"), ("hotwhisk", b"hotwhisk ")):
        launcher = tmp_path / name
        launcher.symlink_to(ROOT / "packaging" / "launch.py")
        flag = "-version" if name == "proxy" else "--version"
        environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        done = subprocess.run(
            [sys.executable, str(launcher), flag], capture_output=True, env=environ, check=True
        )
        assert done.stdout.startswith(said)


def test_an_invalid_escape_does_not_fail() -> None:
    assert names(compiled(b'def main(a):\n    return ["\\d"]\n')) == OFFICIAL
