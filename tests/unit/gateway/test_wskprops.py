from __future__ import annotations

import resource
import stat
from pathlib import Path

import pytest

from hotwhisk.errors import StartError
from hotwhisk.gateway.wskprops import write_wskprops, wskprops_path


def test_the_file_is_that_of_wsk() -> None:
    assert wskprops_path({"HOME": "/home/ada"}) == "/home/ada/.wskprops"
    assert wskprops_path({"HOME": "/home/ada", "WSK_CONFIG_FILE": "/x"}) == "/x"


def test_address_and_key_are_set_and_other_lines_stay(tmp_path: Path) -> None:
    path = tmp_path / "props"
    path.write_text("# mine\nAPIHOST=old\nNAMESPACE=_\nAUTH = a:b\n")
    path.chmod(0o644)
    assert not write_wskprops(str(path), "http://127.0.0.1:3233", "a:b")
    lines = path.read_text().splitlines()
    assert lines == ["# mine", "NAMESPACE=_", "APIHOST=http://127.0.0.1:3233", "AUTH=a:b"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["props"]


def test_the_key_of_another_host_is_kept_in_a_copy(tmp_path: Path) -> None:
    path, copy = tmp_path / "props", tmp_path / "props.before-hotwhisk"
    cluster, other = "APIHOST=cluster\nAUTH=c:d\n", "APIHOST=other\nAUTH=e:f\n"
    for _ in range(2):  # the second time there is a copy with the same content already
        path.write_text(cluster)
        path.chmod(0o644)
        assert write_wskprops(str(path), "http://x", "a:b") == str(copy)
        assert path.read_text() == "APIHOST=http://x\nAUTH=a:b\n"
    assert not write_wskprops(str(path), "http://y", "a:b")
    path.write_text(other)
    assert write_wskprops(str(path), "http://x", "a:b") == f"{copy}.2"
    assert copy.read_text() == cluster
    assert (tmp_path / f"{copy.name}.2").read_text() == other
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert len(list(tmp_path.iterdir())) == 3


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "props")
    write_wskprops(str(link), "http://x", "a:b")
    assert link.is_symlink()
    assert (tmp_path / "props").read_text() == "APIHOST=http://x\nAUTH=a:b\n"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="set WSK_CONFIG_FILE to another file"):
        write_wskprops(str(tmp_path / "missing" / "props"), "http://x", "a:b")


def test_a_full_disk_leaves_the_old_file_and_no_other_one_with_the_key(tmp_path: Path) -> None:
    path = tmp_path / "props"
    path.write_text("APIHOST=old\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, hard))
    try:
        with pytest.raises(StartError, match="cannot be written"):
            write_wskprops(str(path), "http://x", "a:b")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "APIHOST=old\n"
    assert list(tmp_path.iterdir()) == [path]
