"""D1 to D9: a runtime that starts an executable for each activation, with a stub baked in."""

from __future__ import annotations

import pytest

from hotwhisk_conformance.archives import zipped
from hotwhisk_conformance.session import NO_DICTIONARY, Session, error

row = pytest.mark.conformance

STUB = {"error": "This is a stub action. Replace it with custom logic."}


@row("D1", "skeleton")
def test_d1_stub_without_init(session: Session) -> None:
    session.must_run({}, STUB)
    session.must_write(stdout="stub", stderr=None)


@row("D2", "skeleton")
def test_d2_stub_after_init_with_null(session: Session) -> None:
    answer = session.init(None)
    assert answer.status == 200, f"/init: got {answer}"
    session.must_run({}, STUB)
    session.must_write(stdout="stub", stderr=None)


@row("D3", "skeleton")
def test_d3_stub_after_init_that_does_nothing(session: Session) -> None:
    answer = session.post_init({})
    assert answer.status == 200, f"/init: got {answer}"
    session.must_run({}, STUB)
    session.must_write(stdout="stub", stderr=None)


@row("D4", "skeleton")
def test_d4_argument_that_is_a_text(session: Session) -> None:
    answer = session.run("A")
    assert answer.status == 404, f"/run: got {answer}"
    session.must_write()


@row("D5", "skeleton")
def test_d5_script_that_cannot_be_run(session: Session) -> None:
    answer = session.init("")
    assert answer.status == 200, f"/init: got {answer}"
    answer = session.post_run(None)
    assert answer.status == 502, f"/run: got {answer}"
    error(answer, one_of=NO_DICTIONARY)
    session.must_write(stdout="error", stderr=None)


@row("D6", "skeleton")
def test_d6_zip_with_an_executable(session: Session) -> None:
    script = '#!/bin/sh\necho This is the zip\necho \'{"msg":"hello zip"}\'\n'
    code = zipped({"exec": script}, executable={"exec"})
    answer = session.post_init({"value": {"code": code, "binary": True}})
    assert answer.status == 200, f"/init: got {answer}"
    session.must_run({}, {"msg": "hello zip"})
    session.must_write(stdout="This is the zip")


@row("D7", "skeleton")
@pytest.mark.parametrize("form", ["source", "zip"])
def test_d7_working_directory_is_the_actions(session: Session, form: str) -> None:
    script = '#!/bin/sh\nprintf \'{"pwd":"%s"}\\n\' "$(pwd)"\n'
    code = zipped({"exec": script}, executable={"exec"}) if form == "zip" else script
    session.must_init(code)
    session.must_run({}, {"pwd": "/action"})


@row("D8", "skeleton")
def test_d8_array_as_result(session: Session) -> None:
    session.must_init('#!/bin/sh\necho \'["a","b"]\'\n')
    session.must_run({}, ["a", "b"])


@row("D9", "skeleton")
def test_d9_array_as_argument(session: Session) -> None:
    session.must_init("#!/bin/sh\nprintf '%s\\n' \"$1\"\n")
    session.must_run(["a", "b"], ["a", "b"])
