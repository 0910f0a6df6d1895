"""Commands for a server of ``hotwhisk serve`` that are given the port of a gateway."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.gateway import GatewayProcess

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("command", ["invoke", "status", "rollback", "replace"])
def test_the_user_is_told_that_it_is_a_gateway(
    shared_gateway: GatewayProcess, tmp_path: Path, command: str
) -> None:
    (tmp_path / "hello.py").write_text("def main(event): return event\n")
    words = [command, "--port", str(shared_gateway.port)]
    words += ["hello.py"] if command == "replace" else []
    done = subprocess.run(
        [sys.executable, "-m", "hotwhisk", *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"http://127.0.0.1:{shared_gateway.port} is a gateway" in done.stderr
    assert "wsk action invoke NAME --result" in done.stderr
