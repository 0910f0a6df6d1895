import pytest
from greet import hello


def test_greets_by_name() -> None:
    assert hello({"name": "Mike"}) == {"greetings": "Hello, Mike"}


def test_wants_a_name() -> None:
    with pytest.raises(ValueError, match="no name specified"):
        hello({})
