from __future__ import annotations

import pytest

from hotwhisk.errors import UsageError
from hotwhisk.gateway.log import LogFormat
from hotwhisk.gateway.options import OPTIONS, data_folder, read_settings, warnings


def test_the_defaults_are_those_of_the_settings() -> None:
    settings = read_settings({}, {"HOME": "/home/ada"})
    assert (settings.host, settings.port) == ("127.0.0.1", 3233)
    assert settings.data == "/home/ada/.local/share/hotwhisk"
    assert (settings.most_activations, settings.activation_age) == (100_000, 7 * 86_400)
    assert (settings.most_servers, settings.most_servers_per_action) == (64, 8)
    assert (settings.idle_timeout, settings.drain_timeout) == (600, 25)
    assert settings.log_format is LogFormat.TEXT
    assert not settings.wskprops


def test_a_flag_wins_over_its_variable() -> None:
    environ = {"HOTWHISK_UP_PORT": "1", "HOTWHISK_UP_NAME": "a.example, b.example"}
    assert read_settings({}, environ).port == 1
    assert read_settings({"port": "2"}, environ).port == 2
    assert read_settings({}, environ).names == ("a.example", "b.example")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"port": "x"}, '--port: expected a port from 0 to 65535, got "x"'),
        ({"log_format": "xml"}, '--log-format: expected text or json, got "xml"'),
        ({"activation_age": "soon"}, "--activation-age: expected a time above zero"),
        ({"most_activations": "0"}, "--most-activations: expected a whole number"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_expected(given: dict[str, str], text: str) -> None:
    with pytest.raises(UsageError) as raised:
        read_settings(given, {})
    assert str(raised.value).startswith(text)


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(UsageError, match="HOTWHISK_UP_PORT: expected a port"):
        read_settings({}, {"HOTWHISK_UP_PORT": "none"})


def test_an_age_has_units() -> None:
    for text, seconds in (("7d", 604_800), ("12h", 43_200), ("2m", 120), ("90", 90)):
        assert read_settings({"activation_age": text}, {}).activation_age == seconds


def test_the_folder_of_data_is_absolute() -> None:
    assert data_folder("/srv/data", {}) == "/srv/data"
    assert data_folder(None, {"XDG_DATA_HOME": "/data"}) == "/data/hotwhisk"
    assert data_folder(None, {"HOTWHISK_UP_DATA": "/srv/other"}) == "/srv/other"


def test_a_mistyped_variable_is_reported_with_the_nearest() -> None:
    assert warnings({"HOTWHISK_UP_PROT": "1", "HOTWHISK_UP_PORT": "1"}) == [
        "unknown variable HOTWHISK_UP_PROT is ignored; did you mean HOTWHISK_UP_PORT?"
    ]


def test_every_default_can_be_read() -> None:
    for option in OPTIONS:
        option.read(option.default)
