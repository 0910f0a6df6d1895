"""Answers for an action that cannot answer itself, in both profiles."""

from __future__ import annotations

from hotwhisk.config.platform import Profile
from hotwhisk.errors import BuildFailed, HotwhiskError, LoadFailed, NoCode
from hotwhisk.openwhisk.answers import ANSWERS, Cause, answer_for_init, failure_answer


def test_every_cause_has_an_answer_in_every_profile() -> None:
    assert set(ANSWERS) == set(Cause)
    for cause in Cause:
        for profile in Profile:
            status, text = failure_answer(profile, cause, "signal 9 (SIGKILL)")
            assert 400 <= status < 600
            assert "{" not in text


def test_openwhisk_says_503_for_stopping_only() -> None:
    said = {cause for cause in Cause if failure_answer(Profile.OPENWHISK, cause)[0] == 503}
    assert said == {Cause.STOPPING}


def test_exact_texts() -> None:
    assert failure_answer(Profile.PLAIN, Cause.NO_ACTION) == (
        502,
        "the action failed to locate a binary",
    )
    assert failure_answer(Profile.OPENWHISK, Cause.NO_ACTION) == (500, "no action defined yet")
    assert failure_answer(Profile.OPENWHISK, Cause.EXITED, "exit status 1") == (
        400,
        "command exited",
    )
    assert (
        "signal 9 (SIGKILL)" in failure_answer(Profile.PLAIN, Cause.KILLED, "signal 9 (SIGKILL)")[1]
    )


def test_failed_init() -> None:
    assert answer_for_init(Profile.PLAIN, BuildFailed("why")) == (502, "why")
    assert answer_for_init(Profile.OPENWHISK, LoadFailed("why")) == (
        502,
        "Cannot start action. Check logs for details.",
    )
    assert answer_for_init(Profile.OPENWHISK, BuildFailed("why"))[1].startswith(
        "The action failed to generate"
    )
    assert answer_for_init(Profile.OPENWHISK, NoCode("none")) == (403, "none")


def test_failed_init_that_is_not_logged_is_told() -> None:
    def told(error: HotwhiskError) -> str:
        return answer_for_init(Profile.OPENWHISK, error, logged=False)[1]

    assert told(BuildFailed("main__.py does not compile")) == "main__.py does not compile"
    assert told(LoadFailed("no function 'main'")) == "cannot start action: no function 'main'"
    assert told(LoadFailed("cannot start action: why")) == "cannot start action: why"
    assert told(NoCode("none")) == "none"
