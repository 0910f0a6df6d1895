"""Token files are read at the start, and again: what is no token changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hotwhisk.access.token_files import TokenFiles, read_token, read_tokens
from hotwhisk.config.config import Config, with_tokens
from hotwhisk.config.tokens import Tokens, digest
from hotwhisk.errors import UsageError


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "call").write_text("a\n")
    (tmp_path / "replace").write_text("b\n")
    both = Config(token_file=str(tmp_path / "call"), replace_token_file=str(tmp_path / "replace"))
    return with_tokens(both, read_tokens(both))


def test_both_files_are_read(config: Config) -> None:
    assert config.tokens == Tokens(digest("a"), digest("b"))


def test_one_file_is_for_everything(config: Config) -> None:
    one = Config(token_file=config.token_file)
    assert read_tokens(one) == Tokens(digest("a"), digest("a"))
    assert read_tokens(Config(replace_token_file=config.replace_token_file)) == Tokens(
        b"", digest("b")
    )
    assert read_tokens(Config()) == Tokens()


def test_a_file_that_is_not_there_is_told_with_its_option(config: Config, tmp_path: Path) -> None:
    (tmp_path / "replace").unlink()
    with pytest.raises(UsageError, match=r"^--replace-token-file .*: No such file"):
        read_tokens(config)


def test_a_changed_file_is_read_again(config: Config, tmp_path: Path) -> None:
    files = TokenFiles(config)
    (tmp_path / "call").write_text("new")
    assert files.read_again(config.tokens) == Tokens(digest("new"), digest("b"))
    one = TokenFiles(Config(token_file=config.token_file))
    assert one.read_again(config.tokens) == Tokens(digest("new"), digest("new"))
    assert not files.problem


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"\xff", b"\xc3\xbc"])
def test_what_is_no_token_changes_nothing_and_is_told(
    config: Config, tmp_path: Path, content: bytes
) -> None:
    files = TokenFiles(config)
    (tmp_path / "call").write_bytes(content)
    assert files.read_again(config.tokens) == config.tokens
    assert files.problem.startswith(f"{tmp_path / 'call'}: ")
    (tmp_path / "call").unlink()
    assert files.read_again(config.tokens) == config.tokens
    assert files.problem == f"{tmp_path / 'call'}: No such file or directory"
    (tmp_path / "call").write_text("a")
    files.read_again(config.tokens)
    assert not files.problem


def test_a_pipe_is_not_read_again(tmp_path: Path) -> None:
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    tokens = Tokens(digest("secret"), digest("secret"))
    files = TokenFiles(Config(token_file=path))
    assert files.read_again(tokens) == tokens
    assert not files.problem


def test_the_space_around_a_token_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("  secret \n")
    assert read_token(str(tmp_path / "a")) == "secret"
