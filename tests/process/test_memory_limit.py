"""A limit of the process, RLIMIT_DATA, stands for the action's limit of memory."""

from __future__ import annotations

import sys

import pytest

from hotwhisk.platform import Action, Invoker, ProcessRuntime

pytestmark = pytest.mark.slow

EATER = "def main(args):\n    return {'eaten': len(bytearray(args['megabytes'] << 20))}\n"
SERVE = 'ulimit -d {limit} && exec "{python}" -m hotwhisk serve --openwhisk --port "$PORT"'


def served(limit: str) -> ProcessRuntime:
    return ProcessRuntime(["/bin/sh", "-c", SERVE.format(limit=limit, python=sys.executable)])


def test_an_action_beyond_the_limit_gets_the_platforms_text_and_goes_on() -> None:
    action, invoker = Action("eater", EATER), Invoker(keep_after_error=True)
    with served(str(256 << 10)) as runtime:
        response = invoker.invoke(runtime, action, {"megabytes": 1000})["response"]
        assert isinstance(response, dict)
        assert response["status"] == "action developer error"
        text = "The action exhausted its memory and was aborted."
        assert response["result"] == {"error": text}
        response = invoker.invoke(runtime, action, {"megabytes": 1})["response"]
        assert isinstance(response, dict)
        assert response["result"] == {"eaten": 1 << 20}


def test_without_a_limit_it_is_an_exception_like_others() -> None:
    action, invoker = Action("eater", EATER), Invoker()
    with served("unlimited") as runtime:
        response = invoker.invoke(runtime, action, {"megabytes": 1 << 40})["response"]
        assert isinstance(response, dict)
        assert response["status"] == "application error"
