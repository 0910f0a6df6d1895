"""
Check that the README and the other pages are true.

Transcripts are typed into a real shell and their output is compared; links lead somewhere; Python
compiles; the tests that the pages name exist; the pages about messages, statuses and the status
report name all there is.

bash and curl must be there. A command of a transcript that ends in ``&`` is the server: it gets a
listener of the test's own, whose port takes the place of 8080.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

from hotwhisk.config.platform import Profile
from hotwhisk.ipc import messages, packets
from hotwhisk.openwhisk.answers import ANSWERS, Cause
from tests.structure.source import ROOT
from tests.support.server import HOTWHISK, Server
from tests.support.transcript import (
    IN_CONTAINER,
    PAGES,
    TYPED,
    WITH_BUILT_FILE,
    WITH_DEV,
    WITH_EMULATOR,
    Transcript,
    expect,
    shown,
    transcripts,
)

EXAMPLES = ROOT / "examples"
PROMISES = (
    "test_no_refused_connection",
    "test_no_lost_request",
    "test_no_stale_answer",
    "test_no_bad_version_in_charge",
)


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# -- transcripts -------------------------------------------------------------------------------


class Terminal:
    """A shell in a folder of its own that holds the examples; it has at most one server."""

    def __init__(self) -> None:
        self.server = Server()
        self.folder = self.server.folder
        self.running = False
        shutil.copytree(EXAMPLES, self.folder / "examples")
        for name in ("hello.py", "ciao.py"):
            shutil.copy(EXAMPLES / name, self.folder)
        (self.folder / ".curlrc").write_text("silent\nshow-error\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.server.__exit__(None, None, None)
        shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        env = {**os.environ, "CURL_HOME": str(self.folder), "HOTWHISK_RUN_DIR": self.run_dir}
        env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
        if self.running:
            env["HOTWHISK_PORT"] = str(self.server.port)
        return env

    @property
    def run_dir(self) -> str:
        return str(self.server.run_dir)

    def type(self, command: str) -> str:
        """Type a command; return what it prints on both streams."""
        if re.search(r"&\s*(#.*)?$", command):
            return self.start(command.rpartition("&")[0])
        if self.running:
            command = re.sub(r"\b8080\b", str(self.server.port), command)
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            check=False,
        )
        return done.stdout

    def start(self, command: str) -> str:
        """Start the server; return what it had printed when it was ready."""
        assert not self.running, "one server in a transcript"
        program, *arguments = shlex.split(command)
        first = HOTWHISK[:-1] if program == "hotwhisk" else (program,)
        self.server.command = [*first, *arguments]
        self.server._env.update(self.environment())
        self.server.__enter__()
        self.running = True
        return self.server.stderr()

    def shown(self, text: str) -> list[str]:
        """Return the lines of an output without what differs from run to run."""
        if self.running:
            text = re.sub(rf"\b{self.server.port}\b", "8080", text)
            text = text.replace(" --port 8080", "")  # a hint leaves the usual port out
        text = text.replace(f"{self.folder}/", "")
        return shown(text)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="serve needs Linux")
@pytest.mark.parametrize(
    "transcript", list(transcripts(TYPED)), ids=lambda each: f"{page_id(each.page)}:{each.line}"
)
def test_a_transcript_is_what_happens(transcript: Transcript) -> None:
    with Terminal() as terminal:
        check(transcript, terminal)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="serve needs Linux")
@pytest.mark.parametrize(
    "transcript", list(transcripts(WITH_BUILT_FILE)), ids=lambda each: str(each.line)
)
def test_a_transcript_with_the_built_file_is_what_happens(transcript: Transcript) -> None:
    first = next(each for each in transcripts(TYPED) if each.page == transcript.page)
    build, _ = first.steps[0]
    assert build.startswith("hotwhisk build ")
    with Terminal() as terminal:
        terminal.type(build)
        check(transcript, terminal)


def check(transcript: Transcript, terminal: Terminal) -> None:
    """Type the commands, and compare what each prints."""
    for command, expected in transcript.steps:
        printed = terminal.shown(terminal.type(command))
        if expected or not command.rstrip().endswith("&"):  # a banner may be left out
            expect(printed, terminal.shown("\n".join(expected)))


def test_the_readme_shows_the_main_job() -> None:
    commands = [command for each in transcripts(TYPED) for command, _ in each.steps]
    for begin in ("hotwhisk serve hello.py", "hotwhisk replace ciao.py", "hotwhisk build", "curl"):
        assert any(command.startswith(begin) for command in commands)


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_what_looks_like_a_transcript_is_one(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in re.finditer(r"(^.*\n)```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        before = block[1].splitlines()[-1]
        if re.search(r"^\$ (hotwhisk|curl|docker) ", block[2], re.MULTILINE):
            assert before in (TYPED, IN_CONTAINER, WITH_BUILT_FILE, WITH_DEV, WITH_EMULATOR), (
                "for commands without their output, use ```sh"
            )


# -- links, code, names ------------------------------------------------------------------------


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, by GitHub's rule."""
    heads = re.findall(r"^#+ +(.+?)\s*$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_python_block_compiles(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        compile(block, page_id(page), "exec", dont_inherit=True)


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_test_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = [(path, name) for name, path in re.findall(r"\[`(test_\w+)`\]\(([^)]+\.py)\)", text)]
    for path, name in named:
        assert name in functions(page.parent / path), name
    for path, name in re.findall(r"(tests/[\w/]+\.py)::(test_\w+)", text):
        assert name in functions(ROOT / path), name


def test_each_promise_has_its_test() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in PROMISES:
        assert f"[`{name}`](tests/process/test_promises.py)" in text


# -- pages that must be complete ---------------------------------------------------------------


def section(page: str, head: str) -> str:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.search(rf"^(#+) {re.escape(head)}\n(.*?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"docs/{page} has no section {head}"
    return found[2]


@pytest.mark.parametrize("kind", list(messages.KINDS))
def test_the_protocol_page_has_every_field_of_a_message(kind: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \|", section("protocol.md", kind), re.MULTILINE)
    assert set(rows) == set(messages.KINDS[kind].fields)


def test_the_protocol_page_has_no_message_that_does_not_exist() -> None:
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == set(messages.KINDS)
    assert f"version {packets.VERSION}" in text


@pytest.mark.parametrize("cause", list(Cause), ids=str)
def test_the_reference_has_status_and_text_of_every_cause(cause: Cause) -> None:
    table = section("reference.md", "Answers that the action did not give")
    row = next(line for line in table.splitlines() if line.startswith(f"| `{cause.value}` |"))
    for profile in Profile:
        status, text = ANSWERS[cause][profile]
        assert f"{status} `{text}`" in row


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="serve needs Linux")
def test_the_operating_page_has_every_field_of_the_status() -> None:
    table = section("operating.md", "Status") + section("operating.md", "Counts")
    with Terminal() as terminal:
        terminal.start("hotwhisk serve hello.py")
        terminal.type("curl -XPOST http://localhost:8080/init -d '{}'; hotwhisk replace ciao.py")
        report = json.loads(terminal.type("hotwhisk status --json"))
    for name, value in report.items():
        assert f"`{name}`" in table, name
        rows = value if isinstance(value, list) else [value] if isinstance(value, dict) else []
        for key in (key for row in rows if isinstance(row, dict) for key in row):
            assert f"`{key}`" in table, f"{name}: {key}"
