"""An option, variable, signal or error that is not documented fails."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys

import pytest

import hotwhisk
from hotwhisk import errors
from hotwhisk.config.config import MOST_WORKERS
from hotwhisk.config.options import CLIENT_VARIABLES, OPTIONS, Option
from hotwhisk.gateway.gateway import KEPT
from hotwhisk.gateway.options import OPTIONS as UP_OPTIONS
from hotwhisk.ipc.scoreboard import WORKERS
from hotwhisk.supervisor.generation import RETRY_MAX
from hotwhisk.system.signals import HANDLED, SUSPENDS
from tests.structure.source import PACKAGE, ROOT

REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
ERRORS = [
    value for value in vars(errors).values() if isinstance(value, type) and value.__module__
    == errors.__name__
]  # fmt: skip


def row(begin: str) -> list[str]:
    for line in REFERENCE.splitlines():
        if line.startswith(f"| `{begin}") and not line[len(begin) + 3].isalnum():
            return [cell.strip() for cell in line.strip("|").split("|")]
    raise AssertionError(f"docs/reference.md has no row for {begin}")


def expected_row(option: Option) -> str:
    """Return the row of an option, to be copied into the page and explained there."""
    head = f"{option.flag} {option.metavar}".rstrip()
    default = f"`{option.default}`" if option.default else ""
    other = f"`{option.openwhisk}`" if option.openwhisk != option.default else ""
    return f"| `{head}` | `{option.variable}` | {default} | {other} | {option.help} |"


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_reference_has_every_option_with_its_variable_and_default(option: Option) -> None:
    assert f"\n| `{option.flag}" in REFERENCE, f"docs/reference.md lacks: {expected_row(option)}"
    flag, variable, default, openwhisk, meaning = row(option.flag)
    assert flag == f"`{option.flag}{' ' * bool(option.metavar)}{option.metavar}`"
    assert f"`{option.variable}`" in variable
    assert option.also is None or f"`{option.also}`" in variable
    assert option.default.strip("`") in default
    assert option.openwhisk == option.default or option.openwhisk in openwhisk
    assert meaning


def test_the_reference_has_no_option_that_does_not_exist() -> None:
    section = REFERENCE.partition("## Options of serve")[2].partition("## Variables")[0]
    flags = set(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE))
    assert flags <= {option.flag for option in OPTIONS}


@pytest.mark.parametrize("option", UP_OPTIONS, ids=lambda option: option.name)
def test_the_reference_has_every_option_of_up(option: Option) -> None:
    section = REFERENCE.partition("## Options of up\n")[2].partition("\n## ")[0]
    head = f"{option.flag} {option.metavar}".rstrip()
    found = [line for line in section.splitlines() if line.startswith(f"| `{head}` |")]
    assert len(found) == 1, f"docs/reference.md lacks | `{head}` | `{option.variable}` | … |"
    _, variable, default, meaning = (cell.strip() for cell in found[0].strip("|").split("|"))
    assert variable == f"`{option.variable}`"
    assert option.default in default
    assert meaning


def test_the_reference_has_no_option_of_up_that_does_not_exist() -> None:
    section = REFERENCE.partition("## Options of up\n")[2].partition("\n## ")[0]
    flags = set(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE))
    assert flags == {option.flag for option in UP_OPTIONS}


def test_the_reference_names_every_variable_that_actions_see() -> None:
    assert not {name for name in KEPT if f"`{name}`" not in REFERENCE}


def test_the_reference_names_every_variable_that_is_read() -> None:
    read = set(CLIENT_VARIABLES)
    for name in ("config/config", "config/platform", "server/listener"):
        text = (PACKAGE / f"{name}.py").read_text(encoding="utf-8")
        read |= set(re.findall(r'environ\.(?:get|pop)\(\s*"(\w+)"', text))
    assert {"NOTIFY_SOCKET", "LISTEN_FDS", "PROXY_ALLOW_REINIT"} <= read
    assert not {name for name in read if f"`{name}`" not in REFERENCE}


def test_every_signal_is_documented() -> None:
    text = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    section = text.partition("\n## Signals\n")[2].partition("\n## ")[0]
    named = re.findall(
        r"SIG[A-Z0-9]+", " ".join(re.findall(r"^\| (.*?) \|", section, re.MULTILINE))
    )
    every = {each.name for each in signal.Signals} - {"SIGRTMIN", "SIGRTMAX"}
    assert sorted(named) == sorted(every)
    assert {signal.Signals(each).name for each in (*HANDLED, SUSPENDS)} <= set(named)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_the_reference_names_every_error_with_its_code(error: type[errors.HotwhiskError]) -> None:
    _, means, code = row(error.__name__)
    assert means
    numbers = {int(number) for number in re.findall(r"\d+", code)}
    assert numbers & {error.status, error.exit_code}


def test_figures_on_the_pages_are_those_of_the_source() -> None:
    operating = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    architecture = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert f"then 2, 4, up to {RETRY_MAX:g}," in operating
    assert f"up to {RETRY_MAX:g} s;" in architecture
    assert (
        f"| {WORKERS}, of all generations; so `--workers` is at most {MOST_WORKERS} |" in operating
    )
    assert f"at most {MOST_WORKERS}." in row("--workers")[-1]


@pytest.mark.parametrize("page", ["ARCHITECTURE.md", "CONTRIBUTING.md", "docs/decisions.md"])
def test_every_source_that_a_page_names_exists(page: str) -> None:
    named = set(re.findall(r"[\w-]+/[\w/-]+\.py\b", (ROOT / page).read_text(encoding="utf-8")))
    assert named
    assert not {each for each in named if not any((top / each).exists() for top in (PACKAGE, ROOT))}


def test_the_changelog_has_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(\d[^\]]*)\]", text, re.MULTILINE)
    assert versions[0] == hotwhisk.__version__


def test_the_task_script_lists_every_task_it_knows() -> None:
    done = subprocess.run([str(ROOT / "run")], capture_output=True, text=True, check=True)
    text = (ROOT / "run").read_text(encoding="utf-8")
    tasks = set(re.findall(r"^run_([\w-]+)\(\)", text, re.MULTILINE))
    assert tasks == set(re.findall(r"^  ([\w-]+)  ", done.stdout, re.MULTILINE))
    assert all(f"{task} |" in text or f"| {task}" in text for task in tasks)


def test_an_image_that_does_not_exist_is_told_before_an_engine_is_looked_for() -> None:
    for target in ("--help", "slimm"):
        command = [str(ROOT / "run"), "image", "slim", target]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert (
            done.stderr == f"run: there is no image {target}; there are slim, compat and preload\n"
        )


def commands_shown() -> list[str]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    shown = []
    for page in pages:
        for block in re.findall(r"```(?:sh|console|bash)\n(.*?)```", page.read_text(), re.DOTALL):
            lines = [line.removeprefix("$ ") for line in block.splitlines()]
            shown += [line for line in lines if line.startswith("hotwhisk ")]
    return shown


def test_commands_that_are_shown_exist_with_their_flags() -> None:
    screens: dict[str, str] = {}
    for shown in commands_shown():
        words = shlex.split(shown.partition(" #")[0].partition(" | ")[0].partition(" > ")[0])
        name = words[1]
        if name.startswith("-"):
            continue
        if name not in screens:
            screens[name] = subprocess.run(
                [sys.executable, "-m", "hotwhisk", name, "--help"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        flags = [word.partition("=")[0] for word in words[2:] if word.startswith("--")]
        for flag in flags:
            plain = flag.replace("--no-", "--", 1).removeprefix("--")
            assert plain in screens[name], shown
