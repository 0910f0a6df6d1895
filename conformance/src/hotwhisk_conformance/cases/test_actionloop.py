"""G1 to G12: executables that speak the ActionLoop protocol; sources only with a Go compiler."""

from __future__ import annotations

import pytest

from hotwhisk_conformance.archives import encoded, zipped
from hotwhisk_conformance.flavours import FLAVOURS
from hotwhisk_conformance.go import (
    GO_ARRAY_ARGUMENT,
    GO_ARRAY_RESULT,
    GO_MODULE,
    GO_SUBDIR,
    go_source,
)  # fmt: skip
from hotwhisk_conformance.session import Session, not_run

row = pytest.mark.conformance

GREETER = """\
#!/bin/sh
if [ -n "$__OW_WAIT_FOR_ACK" ]; then echo '{"ok":true}' >&3; fi
while IFS= read -r line; do
  name=$(printf '%s' "$line" | sed -n 's/.*"name" *: *"\\([^"]*\\)".*/\\1/p')
  printf '{"greeting":"Hello, %s"}\\n' "$name" >&3
done
"""
ARRAY = """\
#!/bin/sh
if [ -n "$__OW_WAIT_FOR_ACK" ]; then echo '{"ok":true}' >&3; fi
while IFS= read -r line; do echo '["a","b"]' >&3; done
"""
GREETING = {"greeting": "Hello, Demo"}


def must_greet(session: Session, code: str, main: str = "main") -> None:
    session.must_init(code, main)
    session.must_run({"name": "Demo"}, GREETING)


@pytest.fixture
def go(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("conformance_go"):
        not_run("needs a runtime that compiles Go; say so with --go")


@pytest.fixture
def language(request: pytest.FixtureRequest) -> str:
    if request.param == "go":
        request.getfixturevalue("go")
    return str(request.param)


@row("G1", "actionloop")
def test_g1_run_after_init_that_does_nothing(session: Session) -> None:
    init, run = session.post_init({}), session.post_run({})
    assert (init.status, run.status) == (403, 500), f"/init: got {init}; /run: got {run}"


@row("G2", "actionloop")
def test_g2_script_in_base64(session: Session) -> None:
    must_greet(session, encoded(GREETER))


@row("G3", "actionloop")
def test_g3_zip_with_a_script(session: Session) -> None:
    must_greet(session, zipped({"exec": GREETER}, executable={"exec"}))


@row("G4", "actionloop")
@pytest.mark.usefixtures("go")
def test_g4_run_after_init_that_does_nothing_with_a_compiler(session: Session) -> None:
    init, run = session.post_init({}), session.post_run({})
    assert (init.status, run.status) == (403, 500), f"/init: got {init}; /run: got {run}"


@row("G5", "actionloop")
@pytest.mark.usefixtures("go")
def test_g5_zip_that_was_compiled(session: Session) -> None:
    must_greet(session, encoded(session.compile(go_source("Main").encode(), "main")))


@row("G6", "actionloop")
@pytest.mark.usefixtures("go")
def test_g6_source_in_base64(session: Session) -> None:
    must_greet(session, encoded(go_source("Main")))


@row("G7", "actionloop")
@pytest.mark.usefixtures("go")
def test_g7_source_with_another_main(session: Session) -> None:
    must_greet(session, encoded(go_source("Hello")), "hello")


@row("G8", "actionloop")
@pytest.mark.usefixtures("go")
def test_g8_zipped_source(session: Session) -> None:
    must_greet(session, zipped({"main.go": go_source("Main")}))


@row("G9", "actionloop")
@pytest.mark.usefixtures("go")
def test_g9_zipped_source_with_another_main(session: Session) -> None:
    must_greet(session, zipped({"hello.go": go_source("Hello")}), "hello")


@row("G10", "actionloop")
@pytest.mark.usefixtures("go")
def test_g10_zipped_source_with_a_package(session: Session) -> None:
    must_greet(session, zipped({"go.mod": GO_MODULE, **GO_SUBDIR}))


@row("G11", "actionloop")
@pytest.mark.parametrize("language", ["script", "go"], indirect=True)
def test_g11_array_as_result(session: Session, language: str) -> None:
    session.must_init(ARRAY if language == "script" else GO_ARRAY_RESULT)
    session.must_run({}, ["a", "b"])


@row("G12", "actionloop")
@pytest.mark.parametrize("language", ["script", "go"], indirect=True)
def test_g12_array_as_argument(session: Session, language: str) -> None:
    session.must_init(FLAVOURS["actionloop"].echo if language == "script" else GO_ARRAY_ARGUMENT)
    session.must_run(["a", "b"], ["a", "b"])
