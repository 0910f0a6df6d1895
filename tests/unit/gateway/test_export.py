from __future__ import annotations

import base64
import json
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hotwhisk.errors import StartError, UsageError
from hotwhisk.gateway.export.export import Exported, export
from hotwhisk.gateway.store.store import Store

LIMITS = {"timeout": 60000, "memory": 256, "logs": 10, "concurrency": 1}
SOURCE = "def main(args):\n    return {'é': args}\n"


@pytest.fixture
def store(store: Store) -> Store:
    store.namespaces.ensure("guest")
    return store


def put(store: Store, path: str, code: str | None = SOURCE, **fields: Any) -> None:
    """Store an action; a path with a slash is in a package."""
    package, _, name = path.rpartition("/")
    document = {
        "exec": {"kind": "python:3", "binary": False},
        "parameters": [],
        "annotations": [],
        "limits": LIMITS,
        "publish": False,
    }
    store.actions.put(("guest", package, name), {**document, **fields}, code)


def lines(folder: Path) -> list[str]:
    """Return the commands of the script."""
    text = (folder / "deploy.sh").read_text()
    return [line for line in text.splitlines() if line.startswith(("wsk ", "update "))]


def exported(store: Store, tmp_path: Path) -> tuple[Path, Exported]:
    folder = tmp_path / "out"
    return folder, export(store, "guest", str(folder))


def test_an_action_has_its_code_and_its_options_in_files(store: Store, tmp_path: Path) -> None:
    parameters = [{"key": "name", "value": "O'Hara $HOME"}, {"key": "n", "value": [1, None]}]
    annotations = [{"key": "web-export", "value": True}, {"key": "exec", "value": "python:3"}]
    put(store, "greet", parameters=parameters, annotations=annotations)
    folder, done = exported(store, tmp_path)
    (line,) = lines(folder)
    assert line == (
        "wsk action update greet actions/default/greet.py --kind python:3 "
        "--param-file actions/default/greet.parameters.json "
        "--annotation-file actions/default/greet.annotations.json "
        "--timeout 60000 --memory 256 --logsize 10 --concurrency 1"
    )
    place = folder / "actions" / "default"
    assert (place / "greet.py").read_text() == SOURCE
    values = json.loads((place / "greet.parameters.json").read_text())
    assert values == {"name": "O'Hara $HOME", "n": [1, None]}
    assert json.loads((place / "greet.annotations.json").read_text()) == {"web-export": True}
    assert done.counts == {"actions": 1}


@pytest.mark.slow
def test_the_script_says_first_what_it_needs(store: Store, tmp_path: Path) -> None:
    put(store, "greet", parameters=[{"key": "MODE", "value": "fast", "init": True}])
    folder, _ = exported(store, tmp_path)
    programs, props, done = tmp_path / "programs", tmp_path / "props", tmp_path / "done"
    programs.mkdir()
    for name in ("dirname", "grep", "sed"):
        (programs / name).symlink_to(str(shutil.which(name)))

    def deploy() -> subprocess.CompletedProcess[str]:
        env = {"PATH": str(programs), "WSK_CONFIG_FILE": str(props)}
        script = [str(folder / "deploy.sh")]
        return subprocess.run(script, env=env, capture_output=True, text=True, check=False)

    def expect_refused(because: str) -> None:
        ran = deploy()
        assert ran.returncode == 1
        assert because in ran.stderr
        assert ran.stderr.endswith("; nothing was changed\n")
        assert not done.exists()

    def install(name: str) -> None:
        (programs / name).write_text(f"#!/bin/sh\necho {name} >>{done}\n")
        (programs / name).chmod(0o700)

    expect_refused("wsk is needed: https://github.com/apache/openwhisk-cli/releases")
    install("wsk")
    for text in ("", "APIHOST=x\nAUTH=\n"):
        props.write_text(text)
        expect_refused(f"{props} names no host and key: wsk property set --apihost")
    props.write_text("APIHOST=x\nAUTH=a:b\n")
    expect_refused("curl is needed")
    install("curl")
    assert deploy().returncode == 0
    assert done.read_text() == "wsk\ncurl\n"


def test_only_the_owner_can_read_what_is_written(store: Store, tmp_path: Path) -> None:
    put(store, "greet")
    folder, _ = exported(store, tmp_path)
    for path in (folder, *(each for each in folder.rglob("*") if each.is_file())):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stat.S_IMODE((folder / "deploy.sh").stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("content", "given", "options"),
    [
        (b"PK\3\4zip", {"kind": "python:3", "main": "go"}, "zipped.zip --main go --kind python:3"),
        (b"PK\3\4zip", {"kind": "blackbox"}, "zipped.zip --native"),
        (b"\x7fELF", {"kind": "blackbox", "image": "openwhisk/dockerskeleton"}, "zipped.bin --native"),
        (b"\x7fELF", {"kind": "blackbox", "image": "a/b"}, "zipped.bin --docker a/b"),
    ],
)  # fmt: skip
def test_binary_code_is_written_as_it_was_posted(
    store: Store, tmp_path: Path, content: bytes, given: dict[str, str], options: str
) -> None:
    put(store, "zipped", base64.b64encode(content).decode(), exec={**given, "binary": True})
    folder, _ = exported(store, tmp_path)
    (line,) = lines(folder)
    assert line.startswith(f"wsk action update zipped actions/default/{options} --timeout")
    assert (folder / line.split()[4]).read_bytes() == content


def test_what_is_needed_comes_first(store: Store, tmp_path: Path) -> None:
    put(store, "a", None, exec={"kind": "sequence", "components": ["/guest/z", "/guest/p/x"]})
    put(store, "z", None, exec={"kind": "sequence", "components": ["/guest/b/x", "/other/y"]})
    put(store, "p/x")
    empty = {"parameters": [], "annotations": [], "publish": False}
    store.packages.put("guest", "p", {**empty, "publish": True})
    binding = {"binding": {"namespace": "guest", "name": "p"}}
    bound = [{"key": "k", "value": 1}]
    store.packages.put("guest", "b", {**empty, **binding, "parameters": bound})
    store.triggers.put("guest", "t", empty)
    rule = {"annotations": [], "trigger": "/guest/t", "action": "/guest/p/x"}
    store.rules.put("guest", "r", {**rule, "status": "inactive"})
    folder, done = exported(store, tmp_path)
    assert [line.partition(" --timeout")[0] for line in lines(folder)] == [
        "wsk package update p --shared yes",
        "wsk action update p/x actions/p/x.py --kind python:3",
        "update packages/b packages/b.json",
        "wsk action update z --sequence /_/b/x,/other/y",
        "wsk action update a --sequence /_/z,/_/p/x",
        "wsk trigger update t",
        "wsk rule update r /_/t /_/p/x",
        "wsk rule disable r",
    ]
    assert list(done.counts) == [
        "packages", "actions", "bindings", "sequences", "triggers", "rules"
    ]  # fmt: skip


def test_variables_are_sent_beside_wsk_which_has_no_option(store: Store, tmp_path: Path) -> None:
    put(store, "greet", parameters=[{"key": "MODE", "value": "fast", "init": True}])
    folder, _ = exported(store, tmp_path)
    assert lines(folder)[1] == "update actions/greet actions/default/greet.environment.json"
    file = folder / "actions" / "default" / "greet.environment.json"
    assert json.loads(file.read_text()) == {
        "parameters": [{"key": "MODE", "value": "fast", "init": True}]
    }


def test_names_with_spaces_and_signs_are_quoted(store: Store, tmp_path: Path) -> None:
    put(store, "a b & c@d")
    folder, _ = exported(store, tmp_path)
    (line,) = lines(folder)
    assert line.startswith("wsk action update 'a b & c@d' 'actions/default/a b & c@d.py' --kind")


def test_annotations_of_a_rule_are_sent_beside_wsk(store: Store, tmp_path: Path) -> None:
    rule = {"trigger": "/guest/t", "action": "/guest/a", "status": "active"}
    annotations = [{"key": "a", "value": 1}]
    store.rules.put("guest", "a rule", {**rule, "annotations": annotations})
    folder, _ = exported(store, tmp_path)
    assert lines(folder) == [
        "wsk rule update 'a rule' /_/t /_/a",
        "update rules/a%20rule 'rules/a rule.annotations.json'",
        "wsk rule enable 'a rule'",
    ]
    file = folder / "rules" / "a rule.annotations.json"
    assert json.loads(file.read_text()) == {"annotations": annotations}


def test_a_wrong_target_or_namespace_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not empty; give a new folder"):
        export(store, "guest", str(tmp_path))
    with pytest.raises(UsageError, match="there is no namespace gest; hotwhisk up keys"):
        export(store, "gest", str(tmp_path / "out"))
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="cannot be written"):
        export(store, "guest", str(tmp_path / "file" / "out"))
