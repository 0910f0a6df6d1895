"""Type what the pages show with Docker into a shell, with the image that was built."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from pathlib import Path

import pytest

from tests.support.server import ROOT
from tests.support.transcript import IN_CONTAINER, Transcript, expect, shown, transcripts

from .container import docker, wait_serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

NAME = "whisk"
PORT = "8080"


class Terminal:
    """A shell in the clone; its container has a name and a port of its own."""

    def __init__(self, folder: Path) -> None:
        (folder / ".curlrc").write_text("silent\nshow-error\n", encoding="utf-8")
        self.environment = {**os.environ, "CURL_HOME": str(folder)}
        self.name = f"{NAME}-{uuid.uuid4().hex[:8]}"
        self.port = ""

    def type(self, command: str) -> str:
        """Type a command; return what it prints on both streams."""
        command = re.sub(rf"\b{NAME}\b(?! hotwhisk:)", self.name, command)
        command = command.replace(f"127.0.0.1:{PORT}:", "127.0.0.1::")
        if self.port:
            command = command.replace(f"localhost:{PORT}", f"localhost:{self.port}")
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout

    def start(self, command: str) -> None:
        """Type the command that starts the container. A person gives it time to listen."""
        printed = self.type(command).strip()
        assert re.fullmatch(r"[0-9a-f]{64}", printed), printed
        self.port = str(wait_serving(self.name)[1])


@pytest.mark.parametrize(
    "transcript", list(transcripts(IN_CONTAINER)), ids=lambda each: f"{each.page.name}:{each.line}"
)
def test_a_transcript_with_docker_is_what_happens(transcript: Transcript, tmp_path: Path) -> None:
    (first, _), *steps = transcript.steps
    terminal = Terminal(tmp_path)
    try:
        terminal.start(first)
        for command, expected in steps:
            expect(shown(terminal.type(command)), shown("\n".join(expected)))
    finally:
        docker("rm", "--force", terminal.name, check=False)


def test_a_page_gets_from_docker_run_to_a_replaced_action_in_four_commands() -> None:
    page = ROOT / "docs" / "image.md"
    (found,) = [each for each in transcripts(IN_CONTAINER) if each.page == page]
    commands = [command for command, _ in found.steps]
    assert len(commands) == 4
    assert commands[0].startswith("docker run ")
    assert sum(" hotwhisk replace " in command for command in commands) == 2
