"""
Imports run one way: there is no circle of modules, and a folder imports only from those below it.

`LAYERS` is the architecture from the bottom to the top. A new folder gets its place here.
"""

from __future__ import annotations

from graphlib import TopologicalSorter

import pytest

from tests.structure.source import Source, sources

LAYERS = (
    {"record"},  # frozen values
    {"faster_json"},  # another library
    {"errors", "json_codec", "json_differences", "digest", "sizes"},  # values and texts
    {"config", "http1", "registration"},  # decided without a process: options, requests
    {"cloudevents"},  # events as requests and responses
    {"platform"},  # a model of the platform, and the comparison of runtimes: the caller's side
    {"system"},  # the operating system
    {"ipc", "openwhisk"},  # what two processes exchange; what the platform demands
    {"access"},  # who may call and replace
    {"launch"},  # a user's file becomes a server
    {"__init__"},  # the names for users
    {"artifact"},  # what was posted
    {"action", "actionloop"},  # the user's code: in Python, or a program
    {"watch"},  # when the user's code changes
    {"worker", "build"},  # the process that answers; the builder of artifacts
    {"supervisor"},  # the process that decides who serves
    {"server"},  # a server as the operating system sees it
    {"aws_lambda"},  # AWS Lambda's runtime, in front of a server
    {"mcp"},  # agents call actions
    {"gateway"},  # the platform on one machine
    {"cli"},
    {"testing"},  # a plugin for pytest, for users' tests
    {"__main__"},
)
TYPES_ONLY = (
    # A repair goes through most of the table of connections, which calls it.
    ("worker.repair", "worker.connections"),
)
"""Imports for annotations that close a circle."""

HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}


def folder(name: str) -> str:
    return name.partition(".")[0]


def ids(source: Source) -> str:
    return source.name


def imported(source: Source, *, types: bool) -> set[str]:
    """Return the modules that are named in imports, and a folder only if it is imported itself."""
    found = source.own_imports(types=types)
    return {each for each in found if not any(other.startswith(f"{each}.") for other in found)}


@pytest.mark.parametrize("source", sources(), ids=ids)
def test_a_module_imports_from_its_own_folder_and_from_lower_ones(source: Source) -> None:
    own = folder(source.name)
    upward = {
        name
        for name in imported(source, types=True)
        if folder(name) != own and HEIGHT[folder(name)] >= HEIGHT[own]
    }
    assert not upward


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graph = {source.name: imported(source, types=False) for source in sources()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_types_make_no_circle_of_modules_either() -> None:
    graph = {source.name: imported(source, types=True) for source in sources()}
    for name, other in TYPES_ONLY:
        graph[name].remove(other)
    TopologicalSorter(graph).prepare()
