"""A changed token file reaches every process, by message or by its configuration."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hotwhisk.config.config import Config, with_tokens
from hotwhisk.config.tokens import Tokens, digest
from hotwhisk.ipc.channel import Channel
from hotwhisk.ipc.messages import SetTokens
from hotwhisk.server.token_rotation import EVERY, TokenRotation
from tests.unit.supervisor.scripted import Scripted

NEW = digest("new")
MESSAGE = SetTokens(*Tokens(NEW, NEW).hex())


@pytest.fixture
def rotation(script: Callable[..., Scripted], tmp_path: Path) -> tuple[Scripted, TokenRotation]:
    (tmp_path / "token").write_text("old")
    config = Config(token_file=str(tmp_path / "token"))
    scripted = script()
    tokens = Tokens(digest("old"), digest("old"))
    return scripted, TokenRotation(with_tokens(config, tokens), scripted.supervisor.parts)


def test_without_a_file_an_idle_server_sleeps(script: Callable[..., Scripted]) -> None:
    rotation = TokenRotation(Config(), script().supervisor.parts)
    assert rotation.pause is None


def test_every_process_learns_a_new_token(
    rotation: tuple[Scripted, TokenRotation], tmp_path: Path
) -> None:
    scripted, tokens = rotation
    slot = scripted.serve()
    scripted.messages(slot)
    (tmp_path / "token").write_text("new")
    tokens.check(scripted.system.clock)
    assert not scripted.messages(slot)
    tokens.check(scripted.system.clock + EVERY)
    assert scripted.messages(slot) == [MESSAGE]
    assert scripted.logged[-1] == "a token was replaced; the one before is refused from now on"
    tokens.check(scripted.system.clock + 2 * EVERY)
    assert not scripted.messages(slot)
    assert scripted.processes.config.tokens == Tokens(NEW, NEW)


def test_a_process_that_is_not_forked_yet_needs_no_message(
    rotation: tuple[Scripted, TokenRotation], tmp_path: Path
) -> None:
    scripted, tokens = rotation
    scripted.serve()
    waiting = [each for each in scripted.processes.by_slot.values() if each.pending_fork]
    (tmp_path / "token").write_text("new")
    tokens.read_again()
    assert scripted.processes.config.tokens == Tokens(NEW, NEW)
    assert not any(each.channel.backlog for each in waiting)


def test_a_template_needs_no_message(
    rotation: tuple[Scripted, TokenRotation], tmp_path: Path
) -> None:
    """Each worker that it forks is told the tokens then."""
    scripted, tokens = rotation
    scripted.serve()
    slot = scripted.supervisor.rollout.template_ready(1)
    assert slot is not None
    ours, theirs = Channel.pair()
    scripted.processes.add_template(slot, 1, 200_000, (ours.detach(), os.eventfd(0)))
    (tmp_path / "token").write_text("new")
    tokens.read_again()
    with closing(Channel(theirs)) as template:
        assert template.receive() is None


def test_a_broken_file_is_told_once(
    rotation: tuple[Scripted, TokenRotation], tmp_path: Path
) -> None:
    scripted, tokens = rotation
    clock = scripted.system.clock
    (tmp_path / "token").write_text("")
    for look in range(1, 6):
        tokens.check(clock + look * EVERY)
        assert len(scripted.logged) == (look > 1), "one look may come while a program writes"
    (line,) = scripted.logged
    assert line.startswith(f"{tmp_path / 'token'}: expected one line with a token")
    assert line.endswith("; the token before it stays")
    (tmp_path / "token").write_text("new")
    tokens.check(clock + 9 * EVERY)
    assert scripted.processes.config.tokens == Tokens(NEW, NEW)
