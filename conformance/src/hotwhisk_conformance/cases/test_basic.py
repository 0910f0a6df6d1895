"""B1 to B10: what the platform demands of every runtime, with actions in the language of each."""

from __future__ import annotations

import pytest

from hotwhisk_conformance.flavours import Flavour
from hotwhisk_conformance.session import NO_DICTIONARY, NO_SOURCE, TWICE, Session, error, not_run

EVERY = ("python", "actionloop", "skeleton")
row = pytest.mark.conformance


@row("B1", *EVERY)
def test_b1_initialization_with_no_code(session: Session, flavour: Flavour) -> None:
    answer = session.init("", "")
    assert (answer.status == 200) is flavour.has_stub, f"/init: got {answer}"


@row("B2", *EVERY)
def test_b2_initialization_with_no_content(session: Session, flavour: Flavour) -> None:
    answer = session.post_init({})
    if flavour.has_stub:
        assert answer.status == 200, f"/init: got {answer}"
        return
    assert answer.status != 200, f"/init: got {answer}"
    error(answer, one_of=NO_SOURCE)


@row("B3", *EVERY)
def test_b3_result_that_is_no_json_object(session: Session, flavour: Flavour) -> None:
    session.must_init(flavour.not_json)
    answer = session.post_run({})
    assert answer.status != 200, f"/run: got {answer}"
    error(answer, one_of=NO_DICTIONARY)
    session.must_write(stdout=None if flavour.prints_result else "")


@row("B4", *EVERY)
def test_b4_second_initialization_is_refused(session: Session, flavour: Flavour) -> None:
    session.must_init(flavour.idle)
    answer = session.init(flavour.idle)
    assert answer.status != 200, f"second /init: got {answer}"
    error(answer, one_of=(TWICE,))
    session.must_write(sentinels=0, stdout=None, stderr=None, either=TWICE)


@row("B5", *EVERY)
def test_b5_entry_point_other_than_main(session: Session, flavour: Flavour) -> None:
    session.must_init(flavour.other_main, flavour.main_of_other)
    argument = {"string": "hello"}
    session.must_run(argument, argument)
    session.must_write(stdout=None if flavour.prints_result else "")


@row("B6", *EVERY)
def test_b6_echo_and_print_to_both_streams(session: Session, flavour: Flavour) -> None:
    session.must_init(flavour.echo_and_print)
    arguments: list[object] = [
        {"string": "hello"},
        {"string": "❄ ☃ ❄"},
        {"numbers": [42, 1]},
        {"object": {"nested": {"deep": True, "nothing": None}}},
    ]
    for argument in arguments:
        session.must_run(argument, argument)
    session.must_write(sentinels=4, stdout="hello stdout", stderr="hello stderr")


@row("B7", *EVERY)
def test_b7_unicode_in_source_input_logs_and_result(session: Session, flavour: Flavour) -> None:
    session.must_init(flavour.unicode)
    session.must_run({"delimiter": "❄"}, {"winter": "❄ ☃ ❄"})
    session.must_write(stdout="❄ ☃ ❄", stderr=None)


@row("B8", *EVERY)
def test_b8_environment_is_set_before_initialization(session: Session, flavour: Flavour) -> None:
    if flavour.init_environment is None:
        not_run(f"the {flavour.profile} profile passes no environment at /init")
    variables = {"SOME_VAR": "xyz", "ANOTHER_VAR": ""}
    session.must_init(flavour.init_environment, env=variables)
    session.must_run({}, variables)
    session.must_write()


@row("B9", *EVERY)
def test_b9_context_of_the_activation(session: Session, flavour: Flavour) -> None:
    session.start({"__OW_API_HOST": "xyz"})
    session.must_init(flavour.environment)
    context = {
        "api_key": "abc",
        "namespace": "zzz",
        "action_name": "xxx",
        "action_version": "0.0.1",
        "activation_id": "iii",
        "deadline": "123",
    }
    session.must_run({}, {"api_host": "xyz", **context}, **context)
    session.must_write(stdout=None if flavour.prints_result else "")


@row("B10", *EVERY)
def test_b10_echo_of_a_large_input(session: Session, flavour: Flavour) -> None:
    session.must_init(flavour.echo)
    argument = {"arg": "a" * 1_048_561}
    session.must_run(argument, argument)
