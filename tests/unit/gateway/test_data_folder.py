from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from hotwhisk.errors import StartError
from hotwhisk.gateway.data_folder import only_gateway, open_data, running_address, write_address


def test_the_folder_is_made_for_its_owner_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o277)
    try:
        open_data(str(tmp_path / "data"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_folders_above_it_that_are_missing_are_made_for_the_owner_too(tmp_path: Path) -> None:
    open_data(str(tmp_path / "hotwhisk" / "dev" / "hello"))
    for name in ("hotwhisk", "hotwhisk/dev", "hotwhisk/dev/hello"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o700


@pytest.mark.parametrize("content", [(), ("dev",)])
def test_a_folder_without_keys_that_others_can_only_read_is_made_private(
    tmp_path: Path, content: tuple[str, ...]
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in content:
        (folder / name).mkdir()
    folder.chmod(0o755)
    open_data(str(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o701, 0o770])
def test_a_folder_that_others_can_enter_is_refused(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "hotwhisk.db").touch()
    folder.chmod(mode)
    with pytest.raises(StartError, match=f"chmod -R go= {folder}"):
        open_data(str(folder))


def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        folder = Path("/")  # it belongs to root
    else:
        folder = tmp_path / "data"
        folder.mkdir(mode=0o700)
        os.chown(folder, 12345, 12345)
    with pytest.raises(StartError, match="run hotwhisk up as that user, or give --data FOLDER"):
        open_data(str(folder))


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StartError, match="is not a folder"):
        open_data(str(tmp_path / "data"))


def test_a_second_gateway_is_told_where_the_first_serves(tmp_path: Path) -> None:
    with only_gateway(str(tmp_path)):
        write_address(str(tmp_path), "http://127.0.0.1:1234")
        with (
            pytest.raises(StartError, match=r"uses .* and serves on http://127.0.0.1:1234: use"),
            only_gateway(str(tmp_path)),
        ):
            raise AssertionError
        assert running_address(str(tmp_path)) == "http://127.0.0.1:1234"
    assert running_address(str(tmp_path)) is None


def test_the_address_of_a_killed_gateway_is_not_believed(tmp_path: Path) -> None:
    with only_gateway(str(tmp_path)):
        write_address(str(tmp_path), "http://127.0.0.1:1234")
        kept = (tmp_path / "address").read_text()
    (tmp_path / "address").write_text(kept)
    assert running_address(str(tmp_path)) is None
