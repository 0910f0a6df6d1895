"""The bodies of ``/init`` and ``/run``."""

from __future__ import annotations

import json

import pytest

from hotwhisk.config.platform import Profile
from hotwhisk.errors import BadResult, NoCode, NotFound, RequestError
from hotwhisk.openwhisk.bodies import (
    error_body,
    exception_body,
    read_init,
    read_run,
    result_error,
    write_result,
)


def init_body(**value: object) -> bytes:
    return json.dumps({"value": {"code": "x", **value}}).encode()


def test_init_defaults() -> None:
    request = read_init(init_body(main="", binary=None, env=None, name=None))
    assert (request.main, request.binary, request.env, request.name) == ("main", False, {}, "")


def test_init_env_is_text() -> None:
    env = {"a": "s", "b": None, "c": 1, "d": True, "e": [1, {"x": "é"}], "f": ""}
    expected = {"a": "s", "b": "null", "c": "1", "d": "true", "e": '[1,{"x":"é"}]', "f": ""}
    assert read_init(init_body(env=env)).env == expected


@pytest.mark.parametrize(
    "body", [b"{}", b'{"value":null}', b'{"value":{}}', init_body(code=""), init_body(code=None)]
)
def test_init_without_code(body: bytes) -> None:
    with pytest.raises(NoCode, match=r"^Missing main/no code to execute\.$"):
        read_init(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"[]",
        b"null",
        b'{"value":1}',
        init_body(code=1),
        init_body(main=[]),
        init_body(name=1),
        init_body(binary="yes"),
        init_body(env=[]),
        init_body(env={"": "x"}),
        init_body(env={"a=b": "x"}),
        init_body(env={"a\x00": "x"}),
        init_body(env={"a": "x\x00"}),
        init_body(env={"a": "\ud800"}),
        b"[" * 100000,
        b'{"a":' * 100000,
        b"\xff{}",
        b"1" * 5000,
    ],
)
def test_init_refused(body: bytes) -> None:
    with pytest.raises(RequestError):
        read_init(body)


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"{}", b'{"value":1}', b'{"code":"x"}'])
def test_a_wrong_body_is_told_the_right_form_in_the_plain_profile(body: bytes) -> None:
    with pytest.raises((NoCode, RequestError)) as plain:
        read_init(body, Profile.PLAIN)
    form = ' (send {"value": {"code": "…"}}, as hotwhisk replace FILE does)'
    assert str(plain.value).endswith(form)
    with pytest.raises((NoCode, RequestError)) as platform:
        read_init(body, Profile.OPENWHISK)
    assert "hotwhisk" not in str(platform.value)


@pytest.mark.parametrize("body", [b"x", b"[]", b"1"])
def test_a_wrong_event_is_told_the_right_form_in_the_plain_profile(body: bytes) -> None:
    with pytest.raises(RequestError, match=r"\(send .* with the event"):
        read_run(body, Profile.PLAIN)
    with pytest.raises(RequestError) as platform:
        read_run(body, Profile.OPENWHISK)
    assert "hotwhisk" not in str(platform.value)


@pytest.mark.parametrize("key", ["a=b", "a\0", ""])
def test_init_env_refusal_names_the_key(key: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_init(init_body(env={key: "x"}))
    assert repr(key) in str(caught.value)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"", {}),
        (b"{}", {}),
        (b'{"value":null}', {}),
        (b'{"value":[1]}', [1]),
        (b'{"value":{"a":1}}', {"a": 1}),
    ],
)
def test_run_value(body: bytes, value: object) -> None:
    assert read_run(body).value == value
    assert read_run(memoryview(body)).value == value


def test_run_context() -> None:
    body = b'{"value":{},"deadline":123,"activation_id":"i","api_key":null,"flag":true,"x":[1, 2],"later":"soon"}'
    assert read_run(body).context == {
        "deadline": "123", "activation_id": "i", "flag": "true", "x": "[1,2]", "later": "soon",
    }  # fmt: skip


@pytest.mark.parametrize("value", ['"A"', "1", "1.5", "true", "false"])
def test_run_scalar(value: str) -> None:
    with pytest.raises(NotFound, match="did not receive a dictionary or array as an argument"):
        read_run(b'{"value":%s}' % value.encode())


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("3", 'not a number; give it a name: {"value": {"name": 3}}'),
        ('"A"', 'not a string; give it a name: {"value": {"name": "A"}}'),
        ("false", "not a boolean"),
        (f'"{"x" * 99}"', '{"value": {"name": …}}'),
    ],
)
def test_a_value_that_is_no_event_is_the_senders_mistake_in_the_plain_profile(
    value: str, says: str
) -> None:
    with pytest.raises(RequestError, match="must be an object or an array") as caught:
        read_run(b'{"value":%s}' % value.encode(), Profile.PLAIN)
    assert caught.value.status == 400
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"name":"Ada"}', '`name`; the handler gets what is under `value`: send {"value": {"n'),
        (b'{"a":1,"b":2,"c":3,"d":4}', "`a`, `b`, `c`, …;"),
        (b'{"Value":{}}', "but `Value`"),
        (b'{"name":"Ada","activation_id":"i"}', "but `name`"),
    ],
)
def test_an_event_without_value_around_it_is_told_in_the_plain_profile(
    body: bytes, says: str
) -> None:
    with pytest.raises(RequestError, match="the body has no `value`") as caught:
        read_run(body, Profile.PLAIN)
    assert caught.value.status == 400
    assert says in str(caught.value)
    assert read_run(body, Profile.OPENWHISK).value == {}


@pytest.mark.parametrize(
    "body", [b"", b"{}", b'{"value":null,"name":1}', b'{"activation_id":"i","deadline":1}']
)
def test_the_plain_profile_takes_a_body_with_nothing_but_context(body: bytes) -> None:
    assert read_run(body, Profile.PLAIN).value == {}


@pytest.mark.parametrize(
    "body",
    [
        b"x",
        b"null",
        b"[1]",
        b'"a"',
        b'{"a":"\\u0000"}',
        b'{"a=b":"c"}',
        b'{"a":NaN}',
        b'{"value":{}',
        b'{"value":',
    ],
)
def test_run_refused(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        read_run(body)
    assert caught.value.status == 400


def test_result() -> None:
    assert write_result({"greetings": "Hello, Mike"}) == b'{"greetings":"Hello, Mike"}\n'
    assert write_result(("é", 2**70)) == '["é",1180591620717411303424]\n'.encode()
    assert write_result({"a": "\ud800"}) == b'{"a":"\\ud800"}\n'
    assert len(write_result({"arg": "a" * 1_048_561})) <= 1_048_576


class Secretive:
    def __repr__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (None, "the handler returned None; expected a dict or a list"),
        ("x", "the handler returned str 'x'; expected"),
        ("x\n" * 500, "the handler returned str 'x\\nx\\n"),
        (True, "the handler returned bool True; expected"),
        (Secretive(), "the handler returned Secretive; expected"),
        ({"a": float("nan")}, "a number that JSON does not have (NaN or an infinity)"),
        ([float("inf")], "a number that JSON does not have (NaN or an infinity)"),
    ],
)
def test_wrong_result_is_silent(result: object, told: str) -> None:
    with pytest.raises(BadResult) as caught:
        write_result(result)
    assert caught.value.__cause__ is None
    plain, openwhisk = (
        json.loads(result_error(profile, caught.value))["error"]
        for profile in (Profile.PLAIN, Profile.OPENWHISK)
    )
    assert told in plain
    assert len(plain) < 160
    assert openwhisk == "The action did not return a dictionary or array."


def test_unserialisable_result_has_a_cause() -> None:
    class Odd(dict[str, object]):
        def items(self) -> object:  # type: ignore[override]
            raise KeyError("odd")

    endless: list[object] = []
    endless.append(endless)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for result in ({"a": {1}}, {(1, 2): 3}, endless, deep, Odd(a=1), [object()]):
        with pytest.raises(BadResult, match="inside its result that JSON does not have") as caught:
            write_result(result)
        assert caught.value.__cause__ is not None


def test_error_bodies() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert error_body("no") == b'{"error":"no"}\n'
    plain, platform = Profile.PLAIN, Profile.OPENWHISK
    for error, said, told in (
        (ValueError("no name specified"), "no name specified", "ValueError: no name specified"),
        (KeyError("x"), "'x'", "KeyError: 'x'"),
        (Mute(), "Mute", "Mute"),
        (ValueError(), "", "ValueError"),
    ):
        assert exception_body(error, platform, "a.py:7") == error_body(said)
        assert exception_body(error, plain) == error_body(told)
        assert exception_body(error, plain, "a.py:7") == error_body(f"{told} (a.py:7)")
