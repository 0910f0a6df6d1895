from __future__ import annotations

import pytest

from hotwhisk.server import names


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "::", ""])
def test_the_usual_addresses_make_a_short_name(host: str) -> None:
    assert names.server_name(host, 8080) == "8080"


@pytest.mark.parametrize("host", ["127.0.0.2", "::1", "10.1.2.3", "Name.example"])
def test_another_address_is_part_of_the_name(host: str) -> None:
    assert names.server_name(host, 8080) == f"8080@{host.lower()}"


def test_the_socket_of_a_place() -> None:
    assert names.control_path("/r", "80@::1") == "/r/80@::1.sock"
