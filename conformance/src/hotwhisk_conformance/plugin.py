"""
The pytest plugin: the target, the fixtures of the cases, and the table at the end.

If pytest is run by hand the options have a prefix, to avoid names of other plugins::

    pytest --pyargs hotwhisk_conformance.cases --conformance-command "my-runtime --port {port}"
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from typing import Any, Final

import pytest

from hotwhisk_conformance.client import NoListener
from hotwhisk_conformance.compiling import Compiled
from hotwhisk_conformance.container import ImageTarget
from hotwhisk_conformance.flavours import FLAVOURS, PROFILES
from hotwhisk_conformance.go import GO
from hotwhisk_conformance.session import PATIENCE, Session, not_run
from hotwhisk_conformance.table import Table
from hotwhisk_conformance.target import CommandTarget, Target, TargetError, UrlTarget

MARK: Final = "conformance"
_TABLE = pytest.StashKey[Table]()
_LISTENED = pytest.StashKey[bool]()
_HOPELESS = pytest.StashKey[str]()
"""The reason for which no case can be tried."""
_OPTIONS: Final = {
    "image": "an image to run",
    "url": "a server that runs already",
    "command": "a command to start; {port} in it is the port, also in PORT",
    "compile-command": "compiles stdin to stdout; {main} in it is the entry point",
    "restart-command": "restarts the server at the URL before each case",
    "engine": "container engine with docker's command line (docker)",
    "requirement": "what V1 to V3 install: PACKAGE[:MODULE]",
    "example": "for E1 to E3: another image, or command, with the example baked in",
    "badaction": "for E4 to E7: another one that sleeps or exits when told to",
    "badproxy": "for E8: another one that serves nothing",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, each with its prefix."""
    group = parser.getgroup("conformance", "conformance of an OpenWhisk runtime")
    for name, text in _OPTIONS.items():
        group.addoption(f"--conformance-{name}", dest=_dest(name), help=text)
    group.addoption(
        "--conformance-profile",
        dest=_dest("profiles"),
        action="append",
        choices=PROFILES,
        help="which cases (python); may be given many times",
    )
    group.addoption(
        "--conformance-go",
        dest=_dest("go"),
        action="store_true",
        help="the runtime compiles Go: run G4 to G12, and B1 to B10 in Go",
    )
    group.addoption(
        "--conformance-timeout",
        dest=_dest("timeout"),
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="for one answer (30)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark that carries a case's row and profiles."""
    config.addinivalue_line("markers", f"{MARK}(row, *profiles): a case of the platform's tests")
    config.stash[_TABLE] = Table()
    config.stash[_LISTENED] = False


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of a basic case for each chosen profile."""
    mark = metafunc.definition.get_closest_marker(MARK)
    if mark is not None and "flavour" in metafunc.fixturenames:
        wanted = [name for name in mark.args[1:] if name in _profiles(metafunc.config)]
        flavours = {name: FLAVOURS[name] for name in wanted}
        if GO.profile in wanted and _option(metafunc.config, "go"):
            flavours[f"{GO.profile}-go"] = GO
        metafunc.parametrize("flavour", flavours.values(), ids=flavours)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the cases of other profiles; add the others' rows to reports and JUnit."""
    kept, left = [], []
    for item in items:
        mark = item.get_closest_marker(MARK)
        if mark is None:
            kept.append(item)
            continue
        profile = _profile_of(item, mark)
        if profile in _profiles(config):
            item.user_properties += [("case", mark.args[0]), ("profile", profile)]
            kept.append(item)
        else:
            left.append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """
    Report a case whose streams could not be read as skipped, with the reason.

    After a runtime that did not listen at the first attempt, no other case is tried.
    """
    report = yield
    session = getattr(item, "funcargs", {}).get("session")
    if call.when == "call" and session is not None:
        _judge_start(item, session, call.excinfo and call.excinfo.value)
    if report.when == "call" and report.passed and session is not None and session.unchecked:
        report.outcome = "skipped"
        path, line, _ = item.location
        what = " and ".join(dict.fromkeys(session.unchecked))
        reason = f"not checked: {what} cannot be read; the answers were right"
        report.longrepr = (path, (line or 0) + 1, reason)
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the table, if any case ran."""
    table = config.stash[_TABLE]
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                table.add(report)
    if table:
        terminalreporter.section("conformance")
        for line in table.lines():
            terminalreporter.write_line(line)
    if reason := config.stash.get(_HOPELESS, ""):
        terminalreporter.write_line(reason)


@pytest.fixture
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """Return a fresh runtime."""
    yield from _session(request.config, _target(request.config))


@pytest.fixture
def example(request: pytest.FixtureRequest) -> Iterator[Session]:
    """Return a fresh start of the image with the example baked in."""
    yield from _session(request.config, _other(request.config, "example"))


@pytest.fixture
def badaction(request: pytest.FixtureRequest) -> Iterator[Session]:
    """Return a fresh start of the image whose action sleeps or exits."""
    yield from _session(request.config, _other(request.config, "badaction"))


@pytest.fixture
def badproxy(request: pytest.FixtureRequest) -> Iterator[Session]:
    """Return a fresh start of the image that serves nothing."""
    yield from _session(request.config, _other(request.config, "badproxy"), PATIENCE)


@pytest.fixture(scope="session")
def compiled(pytestconfig: pytest.Config) -> Compiled:
    """Return the archive that the runtime compiles, made once."""
    requirement = _option(pytestconfig, "requirement") or "user-agents:user_agents"
    return Compiled(_target(pytestconfig), requirement, 600.0)


def _session(
    config: pytest.Config, target: Target, timeout: float | None = None
) -> Iterator[Session]:
    session = Session(target, min(_option(config, "timeout"), timeout or math.inf))
    try:
        yield session
    finally:
        session.close()


def _judge_start(item: pytest.Item, session: Session, error: BaseException | None) -> None:
    """End all tests if the runtime cannot be started or does not listen, and never did."""
    stash = item.config.stash
    stash[_LISTENED] |= session.has_listened
    if isinstance(error, TargetError | NoListener) and not stash[_LISTENED]:
        hint = ""
        if _option(item.config, "command") and isinstance(error, NoListener):
            hint = "; a command must listen on the port that replaces {port}, or is in PORT"
        notes = getattr(error, "__notes__", [])
        stash[_HOPELESS] = "\n".join([f"there is nothing to test: {error}{hint}", *notes])
        item.session.shouldstop = "no other case was tried"


def _target(config: pytest.Config) -> Target:
    image, url, command = (_option(config, name) for name in ("image", "url", "command"))
    if sum(each is not None for each in (image, url, command)) != 1:
        raise pytest.UsageError("give one of --image, --url and --command")
    if image:
        return ImageTarget(image, _option(config, "engine") or "docker")
    if url:
        return UrlTarget(url, _option(config, "restart-command"))
    return CommandTarget(command, _option(config, "compile-command"))


def _other(config: pytest.Config, name: str) -> Target:
    given = _option(config, name)
    if not given:
        not_run(f"needs another runtime: give --{name}")
    if _option(config, "image"):
        return ImageTarget(given, _option(config, "engine") or "docker")
    return CommandTarget(given)


def _profiles(config: pytest.Config) -> list[str]:
    return _option(config, "profiles") or [PROFILES[0]]


def _profile_of(item: pytest.Item, mark: pytest.Mark) -> str:
    call = getattr(item, "callspec", None)
    flavour = call.params.get("flavour") if call is not None else None
    profile: str = getattr(flavour, "profile", None) or mark.args[1]
    return profile


def _option(config: pytest.Config, name: str) -> Any:
    return config.getoption(_dest(name))


def _dest(name: str) -> str:
    return f"conformance_{name.replace('-', '_')}"
