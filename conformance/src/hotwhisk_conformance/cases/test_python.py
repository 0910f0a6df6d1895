"""P1 to P10 and A1 to A3: what a Python runtime must do beyond the basic cases."""

from __future__ import annotations

import pytest

from hotwhisk_conformance.archives import zipped
from hotwhisk_conformance.session import Session

row = pytest.mark.conformance

ECHO = "def echo(args):\n    return {'echo': args}\n"
IDENTITY = "def main(args):\n    return args\n"


@row("P1", "python")
def test_p1_zip_with_entry_point_other_than_main(session: Session) -> None:
    main = "from echo import echo\n\ndef niam(args):\n    return echo(args)\n"
    session.must_init(zipped({"__main__.py": main, "echo.py": ECHO}), "niam")
    argument = {"string": "hello"}
    session.must_run(argument, {"echo": argument})
    session.must_write()


@row("P2", "python")
def test_p2_zip_that_reads_a_file_by_relative_path(session: Session) -> None:
    main = "def main(args):\n    with open('workfile') as file:\n        return {'text': file.read()}\n"
    session.must_init(zipped({"__main__.py": main, "workfile": "this is a test string"}))
    session.must_run({}, {"text": "this is a test string"})
    session.must_write()


@row("P3", "python")
def test_p3_zip_without_main_file(session: Session) -> None:
    answer = session.init(zipped({"echo.py": ECHO}), "echo")
    assert answer.status == 502, f"/init: got {answer}"
    session.must_write(stderr="Zip file does not include")


@row("P4", "python")
def test_p4_exception_in_the_handler(session: Session) -> None:
    session.must_init("def main(args):\n    return {'quotient': 1 // 0}\n")
    answer = session.run({})
    assert answer.status in (200, 502), f"/run: got {answer}"
    assert isinstance(answer.document, dict), f"/run: got {answer}"
    assert "error" in answer.document, f"/run: got {answer}"
    session.must_write(stderr="Traceback")


@row("P5", "python")
def test_p5_source_that_does_not_compile(session: Session) -> None:
    answer = session.init('10 PRINT "HELLO"\n20 GOTO 10\n')
    assert answer.status == 502, f"/init: got {answer}"


@row("P6", "python")
def test_p6_application_error(session: Session) -> None:
    session.must_init("def main(args):\n    return {'error': 'sorry'}\n")
    session.must_run({}, {"error": "sorry"})
    session.must_write()


@row("P7", "python")
def test_p7_import_of_a_package_that_is_not_there(session: Session) -> None:
    source = "import a_package_that_nobody_has_made\n\ndef main(args):\n    return {}\n"
    answer = session.init(source)
    assert answer.status == 502, f"/init: got {answer}"
    session.must_write(stderr=r"Traceback|[Cc]annot start")


@row("P8", "python")
def test_p8_sys_executable(session: Session) -> None:
    session.must_init("import sys\n\ndef main(args):\n    return {'path': sys.executable}\n")
    document = session.must_run({})
    assert "python" in str(document["path"])


@row("P9", "python")
def test_p9_array_as_result(session: Session) -> None:
    session.must_init("def main(args):\n    return ['a', 'b']\n")
    session.must_run({}, ["a", "b"])


@row("P10", "python")
def test_p10_array_as_argument(session: Session) -> None:
    session.must_init(IDENTITY)
    session.must_run(["a", "b"], ["a", "b"])


@row("A1", "python")
def test_a1_exit_in_the_handler(session: Session) -> None:
    session.must_init("import sys\n\ndef main(args):\n    sys.exit(1)\n")
    answer = session.run({})
    assert answer.status == 400, f"/run: got {answer}"
    assert "command exited" in answer.error, f"/run: got {answer}"
    session.must_write()


@row("A2", "python")
def test_a2_exit_while_loading(session: Session) -> None:
    answer = session.init("import sys\nsys.exit(1)\n\ndef main(args):\n    return args\n")
    assert answer.status == 502, f"/init: got {answer}"
    assert "Cannot start action" in answer.error, f"/init: got {answer}"
    session.must_write(stderr=r"Command exited abruptly during initialization\.")


@row("A3", "python")
def test_a3_variable_printed_while_loading(session: Session) -> None:
    source = "import os\n\nprint(os.environ['X'])\n\ndef main(args):\n    return {'body': 'ok'}\n"
    session.must_init(source, env={"X": "xyz"})
    session.must_run({}, {"body": "ok"})
    session.must_write(stdout="xyz")
