"""
The conformance kit passes against ``hotwhisk serve --openwhisk``.

The kit is a distribution of its own and knows nothing of hotwhisk; here it is run from its
source, as its command, and every case that applies has to pass. The precompiled ones install a
small package, so they need a package index.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.conformance_kit import KIT, cases_passed

GO_COMPILER = KIT / "tests" / "servers" / "go_compile.py"
SERVER = f"{sys.executable} -m hotwhisk serve --openwhisk --port {{port}}"
COMPILE = f"{sys.executable} -m hotwhisk proxy -compile {{main}}"
KIT_OPTIONS = ("--command", SERVER, "--compile-command", COMPILE)
GO_SOURCE = """\
package main

func Main(args map[string]interface{}) map[string]interface{} {
	return args
}
"""
CASES = {"python": 27, "actionloop": 15, "concurrency": 3}
"""How many cases of each profile apply to this server, so that a missing one is noticed."""
CASES_WITH_GO = 34
"""The same for a server with a compiler of Go: G4 to G12, and B1 to B10 once more."""


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("profile", CASES)
def test_the_profile_passes_whole(profile: str, tmp_path: Path) -> None:
    assert cases_passed(tmp_path, *KIT_OPTIONS, "--profile", profile, timeout=300) == CASES[profile]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_actionloop_profile_passes_whole_with_a_compiler_of_go(tmp_path: Path) -> None:
    """As the platform's images for Go are: a compiler, and programs that acknowledge."""
    variables = {"OW_COMPILER": str(GO_COMPILER), "OW_WAIT_FOR_ACK": "1"}
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    (source / "exec").write_text(GO_SOURCE, encoding="utf-8")
    # The first time takes longer than an /init may, since Go compiles what the launcher imports
    # of its library. It also says if there is no compiler.
    first = subprocess.run(
        [sys.executable, GO_COMPILER, "main", source, target],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert first.returncode == 0, first.stderr
    cases = cases_passed(
        tmp_path, *KIT_OPTIONS, "--profile", "actionloop", "--go", timeout=300, variables=variables
    )
    assert cases == CASES_WITH_GO
