"""Names of handlers. What a module raises at its import is tested with processes."""

from __future__ import annotations

import os.path

import pytest

from hotwhisk.aws_lambda.failure import Failure
from hotwhisk.aws_lambda.handler_import import import_handler


@pytest.mark.parametrize("name", ["posixpath.join", "hotwhisk.registration.on_startup"])
def test_a_handler_is_found_by_module_and_function(name: str) -> None:
    assert callable(import_handler(name))


def test_a_slash_is_read_as_a_dot() -> None:
    assert import_handler("hotwhisk/digest.sha256") is import_handler("hotwhisk.digest.sha256")


def test_a_handler_is_what_the_module_has_under_the_name() -> None:
    assert import_handler("os.path.join") is os.path.join


@pytest.mark.parametrize("name", ["handler", ".handler", "module."])
def test_a_name_without_two_parts_is_malformed(name: str) -> None:
    found = import_handler(name)
    assert isinstance(found, Failure)
    assert found.type == "Runtime.MalformedHandlerName"


def test_a_value_that_cannot_be_called_is_no_handler() -> None:
    found = import_handler("posixpath.sep")
    assert isinstance(found, Failure)
    assert found.type == "Runtime.HandlerNotFound"
