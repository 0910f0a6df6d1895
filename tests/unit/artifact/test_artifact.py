"""Posted code is recognised by its content, and unpacked inside one folder or not at all."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hotwhisk.artifact import archive, artifact
from hotwhisk.artifact.artifact import Kind, Unpacked, detect
from hotwhisk.errors import BuildFailed, RequestError

Member = tuple[str, int, bytes]
MAIN: Member = ("__main__.py", stat.S_IFREG | 0o644, b"def main(args): return args\n")
ELF = b"\x7fELF" + bytes(60)


def unpack(content: bytes, folder: Path) -> Unpacked:
    return artifact.unpack(content, str(folder))


def zipped(*members: Member) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, mode, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            opened.writestr(info, content)
    return buffer.getvalue()


def tarred(*members: Member) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as opened:
        for name, mode, content in members:
            info = tarfile.TarInfo(name)
            info.mode = stat.S_IMODE(mode)
            kinds = {
                stat.S_IFLNK: tarfile.SYMTYPE,
                stat.S_IFDIR: tarfile.DIRTYPE,
                stat.S_IFCHR: tarfile.CHRTYPE,
            }
            info.type = kinds.get(stat.S_IFMT(mode), tarfile.REGTYPE)
            if info.issym():
                info.linkname = content.decode()
            else:
                info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def file(name: str, content: bytes = b"", mode: int = 0o644) -> Member:
    return name, stat.S_IFREG | mode, content


def link(name: str, target: str) -> Member:
    return name, stat.S_IFLNK | 0o777, target.encode()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"def main(): pass", Kind.SOURCE), (b"", Kind.SOURCE), (b"\x7fELF", Kind.SOURCE), (ELF, Kind.EXECUTABLE),
        (b"#!/usr/bin/env python3\nx", Kind.SOURCE), (b"#!/bin/sh\nx", Kind.EXECUTABLE),
        (zipped(MAIN), Kind.FOLDER), (tarred(MAIN), Kind.FOLDER), (zipped(file("exec", ELF)), Kind.EXECUTABLE),
        (zipped(file("exec"), file("exec__.py"), file("main__.py")), Kind.COMPILED),
        (b"#!python\n" + zipped(file("hotwhisk.json"), file("hotwhisk/__init__.py")), Kind.BUILT), (b"PK\3\4broken", Kind.FOLDER),
    ],
)  # fmt: skip
def test_detect(content: bytes, kind: Kind) -> None:
    assert detect(content) is kind


def test_source(tmp_path: Path) -> None:
    unpacked = unpack(b"x = 1", tmp_path / "a" / "1")
    assert Path(unpacked.entry) == tmp_path / "a" / "1" / "main__.py"
    assert Path(unpacked.entry).read_bytes() == b"x = 1"
    assert unpacked.digest.startswith("sha256:")


def test_same_folder_again(tmp_path: Path) -> None:
    first = unpack(b"x = 1", tmp_path / "1")
    assert unpack(b"x = 1", tmp_path / "1") == first
    with pytest.raises(BuildFailed, match="holds something else"):
        unpack(b"x = 2", tmp_path / "1")


def test_two_processes_unpack_the_same_artifact_at_once(tmp_path: Path) -> None:
    folder, extract = tmp_path / "1", artifact._extract

    def extract_late(*arguments: object) -> None:
        with pytest.MonkeyPatch.context() as earlier:
            earlier.setattr(artifact, "_extract", extract)
            earlier.setattr(os, "getpid", lambda: 0)
            first.append(unpack(b"x = 1", folder))
        extract(*arguments)

    first: list[Unpacked] = []
    with pytest.MonkeyPatch.context() as late:
        late.setattr(artifact, "_extract", extract_late)
        assert [unpack(b"x = 1", folder)] == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "1.digest"]


def test_a_folder_has_its_digest_before_it_is_in_its_place(tmp_path: Path) -> None:
    rename = os.rename

    def rename_and_die(source: str, target: str) -> None:
        rename(source, target)
        raise SystemExit

    with pytest.MonkeyPatch.context() as killed:
        killed.setattr(os, "rename", rename_and_die)
        with pytest.raises(SystemExit):
            unpack(b"x = 1", tmp_path / "1")
    assert Path(unpack(b"x = 1", tmp_path / "1").entry).read_bytes() == b"x = 1"


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_no_main(tmp_path: Path, pack: object) -> None:
    with pytest.raises(BuildFailed, match=r"Zip file does not include __main__\.py"):
        unpack(pack(file("echo.py")), tmp_path / "1")  # type: ignore[operator]
    with pytest.raises(BuildFailed, match="it is in the folder 'top'"):
        unpack(pack(file("top/__main__.py")), tmp_path / "1")  # type: ignore[operator]
    assert not list(tmp_path.iterdir())


HOSTILE = [
    [file("/etc/x")], [file("../x")], [file("a/../../x")], [file("a"), file("a/b")], [file("a/b"), file("a")],
    [file("a"), file("a")], [file("a"), file("./a")], [link("l", "/etc")], [link("l", "../x")],
    [link("l", "/tmp"), file("l/x")], [file("d/e/f"), link("x", "."), link("d/e/y", "../../x/..")],
    [("dev", stat.S_IFCHR | 0o644, b"")], [link("l", ".."), link("m", "l/..")], [link("virtualenvx", "/etc")],
]  # fmt: skip


@pytest.mark.parametrize("members", HOSTILE, ids=str)
@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile(tmp_path: Path, pack: object, members: list[Member]) -> None:
    with pytest.raises(BuildFailed):
        unpack(pack(MAIN, *members), tmp_path / "in" / "1")  # type: ignore[operator]
    assert [path.name for path in tmp_path.rglob("*")] == ["in"]


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_is_told(tmp_path: Path, pack: object) -> None:
    with pytest.raises(BuildFailed, match="the archive holds 'a' twice"):
        unpack(pack(MAIN, file("a"), file("a")), tmp_path / "1")  # type: ignore[operator]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_is_told_whatever_packed_it(tmp_path: Path, method: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as opened:
        opened.writestr("__main__.py", bytes(range(256)) * 9)
    content = bytearray(buffer.getvalue())
    for at in range(60, 80):  # behind the member's head
        content[at] ^= 0xFF
    with pytest.raises(BuildFailed, match="the archive cannot be unpacked"):
        unpack(bytes(content), tmp_path / "1")


def test_a_link_is_no_way_round_the_limits(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="the link 'l' has 1048576 bytes"):
        unpack(zipped(MAIN, link("l", "x" * (1 << 20))), tmp_path / "1")


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_bombs(tmp_path: Path, pack: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "FREE_BYTES", 1 << 16)
    with pytest.raises(BuildFailed, match="unpacks to"):
        unpack(pack(MAIN, file("big", bytes(1 << 20))), tmp_path / "1")  # type: ignore[operator]
    monkeypatch.setattr(archive, "MOST_MEMBERS", 3)
    with pytest.raises(BuildFailed, match="more than 3 members"):
        unpack(pack(MAIN, *(file(str(i)) for i in range(9))), tmp_path / "1")  # type: ignore[operator]


def test_virtualenv_links_may_lead_outside(tmp_path: Path) -> None:
    unpack(zipped(MAIN, link("virtualenv/bin/python", "/usr/bin/python3")), tmp_path / "1")
    assert (tmp_path / "1/virtualenv/bin/python").readlink() == Path("/usr/bin/python3")


names = st.sampled_from("abcde")
trees = st.recursive(
    st.tuples(st.binary(max_size=20), st.sampled_from([0o644, 0o755, 0o600, 0o444]))
    | st.sampled_from(["a", ".", "b/c"]),
    lambda inner: st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
).filter(lambda tree: isinstance(tree, dict))


def members_of(tree: object, name: str = "") -> list[Member]:
    if isinstance(tree, str):
        return [link(name, tree)]
    if isinstance(tree, tuple):
        return [file(name, tree[0], tree[1])]
    assert isinstance(tree, dict)
    own = [(name + "/", stat.S_IFDIR | 0o755, b"")] if name else []
    return own + [
        m for key, inner in tree.items() for m in members_of(inner, f"{name}/{key}".lstrip("/"))
    ]


def read_back(folder: Path) -> set[Member]:
    found = set()
    for path in folder.rglob("*"):
        name, mode = path.relative_to(folder).as_posix(), path.lstat().st_mode
        if path.is_symlink():
            found.add(link(name, os.readlink(path)))
        elif path.is_dir():
            found.add((name + "/", mode, b""))
        else:
            found.add((name, mode, path.read_bytes()))
    return found


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(trees, st.sampled_from([zipped, tarred]))
def test_trees_come_back(
    tmp_path_factory: pytest.TempPathFactory, tree: object, pack: object
) -> None:
    members = [MAIN, *members_of(tree)]
    folder = tmp_path_factory.mktemp("tree") / "1"
    unpack(pack(*members), folder)  # type: ignore[operator]
    assert read_back(folder) == {*members, link("main__.py", "__main__.py")}


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data(), st.sampled_from([zipped, tarred]))
def test_damage_is_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, pack: object
) -> None:
    content = bytearray(
        pack(MAIN, file("a/b", b"text" * 50), link("l", "a/b"), link("m", "../x"[3:]))
    )  # type: ignore[operator]
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content))) :]
    parent = tmp_path_factory.mktemp("damage")
    try:
        unpack(bytes(content), parent / "1")
    except (BuildFailed, RequestError):
        assert not list(parent.iterdir())


def test_many_files_of_all_sizes_by_two_threads(tmp_path: Path) -> None:
    contents = {f"d{n % 7}/f{n}": bytes([n % 251]) * (n * n * 3) for n in range(200)}
    files = [(name, stat.S_IFREG | 0o640, data) for name, data in contents.items()]
    unpacked = unpack(zipped(MAIN, *files), tmp_path / "code")
    for name, data in contents.items():
        path = Path(unpacked.folder, name)
        assert path.read_bytes() == data
        assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("large", [0, 1, 5])
def test_one_damaged_byte_is_noticed(tmp_path: Path, large: int) -> None:
    data = bytes(range(256)) * 256
    files = [(f"f{n}", stat.S_IFREG | 0o644, data) for n in range(6)]
    content = bytearray(zipped(MAIN, *files))
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        info = opened.getinfo(f"f{large}")
        content[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 0x55
    with pytest.raises(BuildFailed, match="cannot be unpacked"):
        unpack(bytes(content), tmp_path / "code")
    assert not (tmp_path / "code").exists()


def test_of_a_served_folder_the_one_below_with_the_entry_is_named(tmp_path: Path) -> None:
    (tmp_path / "greeter").mkdir()
    (tmp_path / "greeter" / "__main__.py").touch()
    with pytest.raises(BuildFailed) as refused:
        artifact.find_entry(str(tmp_path), served=str(tmp_path))
    assert str(refused.value).endswith(f"at its top level; did you mean {tmp_path}/greeter?")
