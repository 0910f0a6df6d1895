from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from hotwhisk.cli import main
from hotwhisk.cli import serve as command
from hotwhisk.config.tokens import Tokens, digest
from hotwhisk.server.listener import bound_address, open_listener

if not sys.platform.startswith("linux"):
    pytest.skip("serve needs Linux", allow_module_level=True)

LIGHT = """
import sys
before = set(sys.modules)
import hotwhisk.__main__
from hotwhisk.cli import serve
from hotwhisk.server.listener import bound_address
listener, inherited = serve._listener(serve.scan(["--port", "0"], {}), {})
assert bound_address(listener)[1]
print(*sorted(set(sys.modules) - before))
"""


def test_the_port_is_open_before_anything_of_weight_is_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{LIGHT}"],
        capture_output=True,
        text=True,
        check=True,
    )
    standard = {name for name in done.stdout.split() if not name.startswith("hotwhisk")}
    assert standard <= {"__future__", "_socket", "gc", "os", "posixpath", "genericpath", "stat"} | {
        "_collections_abc",
        "_stat",
        "abc",
        "_abc",
        "os.path",
        "errno",  # of posixpath, from Python 3.14 on
    }
    assert len(done.stdout.split()) - len(standard) < 10


def test_show_config_opens_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--show-config", "--port", "1"], {"PORT": "2"}) == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["port", "1", "--port"] in [line.split() for line in lines]


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--help"], {}) == 0
    assert "--init-timeout SECONDS" in capsys.readouterr().out


def test_a_taken_port_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(open_listener("127.0.0.1", 0)) as listener:
        port = bound_address(listener)[1]
        assert main(["serve", "--port", str(port)], {}) == 1
    assert capsys.readouterr().err.startswith(f"hotwhisk: port {port} is taken")


def test_a_missing_file_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "0", "no-such.py"], {}) == 2
    assert "there is no no-such.py" in capsys.readouterr().err


def test_the_configuration_bears_the_port_that_was_opened_and_the_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("secret\n")
    environ = {"HOTWHISK_TOKEN_FILE": str(tmp_path / "token"), "HOTWHISK_PROT": "1"}
    with closing(open_listener("127.0.0.1", 0)) as listener:
        config = command._configure(["--port", "0"], environ, listener, inherited=False)
        assert config.port == bound_address(listener)[1]
        assert config.tokens == Tokens(digest("secret"), digest("secret"))
    assert "unknown variable HOTWHISK_PROT" in capsys.readouterr().err


def test_elsewhere_than_on_linux_the_container_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert main(["serve", "hello.py"], {}) == 1
    shown = capsys.readouterr().err
    assert "docker run" in shown
    assert "hotwhisk build hello.py -o action" in shown
