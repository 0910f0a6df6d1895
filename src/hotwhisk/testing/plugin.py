"""
The plugin for pytest: the fixtures ``serve_action`` and ``call_handler``.

pytest imports this module at its start wherever hotwhisk is installed, also for tests that have
nothing to do with actions. So it imports pytest alone, which is there already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hotwhisk.testing.call_handler import CallHandler
    from hotwhisk.testing.serve_action import ServeAction


@pytest.fixture
def serve_action(
    request: pytest.FixtureRequest, _hotwhisk_run_folder: str
) -> Iterator[ServeAction]:
    """
    Serve an action on a server of its own until the test ends.

    ``serve_action("hello.py")`` takes a file or a folder beside the test's file, and returns what
    `hotwhisk.testing.ServedAction` describes.
    """
    from hotwhisk.testing.serve_action import ServeAction

    def report(title: str, text: str) -> None:
        request.node.add_report_section("call", title, text)

    with ServeAction(request.path.parent, _hotwhisk_run_folder, report) as serve:
        yield serve


@pytest.fixture
def call_handler(request: pytest.FixtureRequest) -> Iterator[CallHandler]:
    """
    Call a handler in the test's own process, as a worker calls it.

    ``call_handler(main, {"name": "Mike"})`` takes a function, or a file beside the test's file, and
    returns the result; see `hotwhisk.testing.CallHandler`.
    """
    from hotwhisk.testing.call_handler import CallHandler

    with CallHandler(request.path.parent) as call:
        yield call


@pytest.fixture(scope="session")
def _hotwhisk_run_folder() -> Iterator[str]:
    """Return the run folder of all servers. They share the libraries that are installed there."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="hotwhisk-", ignore_cleanup_errors=True) as folder:
        yield folder
