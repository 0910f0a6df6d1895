"""V1 to V4: archives with a virtual environment, and those that the runtime compiles itself."""

from __future__ import annotations

import pytest

from hotwhisk_conformance.archives import encoded, without, zipped
from hotwhisk_conformance.compiling import Compiled
from hotwhisk_conformance.session import Session

row = pytest.mark.conformance


@row("V1", "python")
def test_v1_compiled_zip_with_virtualenv(session: Session, compiled: Compiled) -> None:
    session.must_init(encoded(compiled.content()))
    assert "agent" in session.must_run({})


@row("V2", "python")
def test_v2_compiled_zip_with_another_main(session: Session, compiled: Compiled) -> None:
    session.must_init(encoded(compiled.content()), "naim")
    assert "agent" in session.must_run({})


@row("V3", "python")
def test_v3_compiled_zip_without_its_main_module(session: Session, compiled: Compiled) -> None:
    broken = without(compiled.content(), {"__main__.py", "main__.py"})
    answer = session.init(encoded(broken))
    assert answer.status == 502, f"/init: got {answer}"
    assert "Cannot start action. Check logs for details." in answer.error, f"/init: got {answer}"


@row("V4", "python")
def test_v4_virtualenv_that_cannot_be_activated(session: Session) -> None:
    files = {
        "__main__.py": "def main(args):\n    return args\n",
        "virtualenv/bin/README": "there is no script that activates this",
    }
    answer = session.init(zipped(files))
    assert answer.status == 502, f"/init: got {answer}"
    is_explained = "Invalid virtualenv" in answer.error or "action failed" in answer.error
    assert is_explained, f"/init: got {answer}"
