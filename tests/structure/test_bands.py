"""
Three bands: pure modules import no kernel, kernel modules import no edge.

A new module is put into a band here, which is the moment to think about where it belongs.
"""

from __future__ import annotations

import pytest

from tests.structure.source import Source, sources

PURE = {
    "access.check",
    "action.entry_point",
    "cloudevents.cloud_event",
    "cloudevents.event_data",
    "cloudevents.event_reader",
    "cloudevents.event_reply",
    "cloudevents.header_values",
    "config.platform",
    "config.addresses",
    "openwhisk.answers",
    "artifact.manifest",
    "config.config",
    "config.help",
    "openwhisk.context",
    "openwhisk.bodies",
    "openwhisk.part_forms",
    "openwhisk.trial_request",
    "digest",
    "errors",
    "faster_json",
    "http1.chunked",
    "http1.head",
    "http1.http1",
    "http1.part_framing",
    "http1.trace_context",
    "json_codec",
    "json_differences",
    "ipc.counters",
    "ipc.messages",
    "ipc.packets",
    "config.option",
    "config.options",
    "config.tokens",
    "record",
    "registration",
    "server.openmetrics",
    "server.request_metrics",
    "sizes",
    "config.suggestions",
    "supervisor.ages",
    "supervisor.dispatcher",
    "supervisor.workers",
    "supervisor.commands",
    "supervisor.comparison",
    "supervisor.first_version",
    "supervisor.free_numbers",
    "supervisor.generation",
    "supervisor.history",
    "supervisor.history_text",
    "supervisor.jobs",
    "supervisor.log_events",
    "supervisor.probation",
    "supervisor.rollout",
    "supervisor.scaling",
    "supervisor.single_run",
    "supervisor.totals",
    "supervisor.trials",
    "system.loop_protocol",
    "worker.answerer",
}
EDGE = {"__main__", "aws_lambda", "build", "cli", "gateway", "mcp", "platform", "testing", "watch"}
PACKAGES = {each.name for each in sources() if each.path.name == "__init__.py"} - EDGE
DIRTY = {"os", "socket", "_socket", "signal", "time", "subprocess", "select", "pathlib", "fcntl"}
DIRTY |= {"mmap", "shutil", "tempfile", "threading", "asyncio", "resource", "posix"}
ALLOWED = {
    "openwhisk.context": {"time"},  # the default of a clock that is a parameter
    "supervisor.first_version": {"time"},  # writes a time as text
    "http1.chunked": {"mmap"},  # the type of a body that others mapped
}
ENVIRONMENT = {
    "gateway.dev.in_action": "leaves breakpoint() to the function that a variable names",
    "gateway.dev.debuggee": "sets a variable of debugpy, in the worker of an action",
    "launch": "asks whether this is a child process of an action",
    "action.child_imports": "has child processes of the action find its module",
    "aws_lambda.function": "reads what Lambda sets, and sets the trace of each event",
    "cli": "hands it to the command that runs",
    "supervisor.processes": "hands a worker's to config.worker_environment",
    "action.isolation": "sets what /init and /run send, for the action",
    "server.server": "passes it to run_folder and config.default_run_dir",
    "gateway.runtimes.launcher_process": "passes it to config.read_config, for each server",
    "action.environ": "sets what each /run sends, for the action",
    "testing.serve_action": "starts servers with that of the test run",
}


def band(source: Source) -> str:
    top = source.name.partition(".")[0]
    return "pure" if source.name in PURE else "edge" if top in EDGE else "kernel"


def ids(source: Source) -> str:
    return source.name


@pytest.mark.parametrize("source", [each for each in sources() if band(each) == "pure"], ids=ids)
def test_a_pure_module_touches_nothing(source: Source) -> None:
    tops = {name.partition(".")[0] for name in source.imports()}
    assert not (tops & DIRTY) - ALLOWED.get(source.name, set())
    assert source.own_imports() <= PURE | PACKAGES


@pytest.mark.parametrize("source", [each for each in sources() if band(each) == "kernel"], ids=ids)
def test_a_kernel_module_does_not_know_the_edge(source: Source) -> None:
    assert not {name for name in source.own_imports() if name.partition(".")[0] in EDGE}


def test_the_bands_name_modules_that_exist() -> None:
    modules = {source.name for source in sources()}
    named = PURE | set(ALLOWED) | set(ENVIRONMENT)
    assert named <= modules, named - modules


@pytest.mark.parametrize("source", sources(), ids=ids)
def test_the_environment_is_read_in_config_alone(source: Source) -> None:
    if source.name in ENVIRONMENT or source.name.startswith("build"):
        return  # a build drives other programs, with an environment for them
    assert not source.uses("os", "environ")
    assert not source.uses("os", "getenv")


@pytest.mark.parametrize("source", sources(), ids=ids)
def test_only_commands_print(source: Source) -> None:
    if not source.name.startswith(("cli", "build")):
        assert not source.calls("print")


@pytest.mark.parametrize("source", sources(), ids=ids)
def test_nothing_outside_the_standard_library_is_imported(source: Source) -> None:
    import sys

    known = set(sys.stdlib_module_names) | {"hotwhisk"}
    optional = {
        "digest": {"_sha2", "_sha256"},
        "build.packages": {"packaging"},  # of the extra `build`
        "watch.events": {"watchfiles"},  # of the extra `watch`
        "build.resolver": {"packaging", "uv"},
        "testing.plugin": {"pytest"},  # which imports it
    }.get(source.name, set())
    if source.name == "gateway.dev.debuggee":
        optional = {"debugpy"}  # which its user installs
    elif source.name.startswith("mcp"):
        optional = {"starlette", "uvicorn"}  # of the extra `mcp`
    elif source.name.startswith("gateway"):
        optional = {"jinja2", "prometheus_client", "starlette", "uvicorn"}  # of the extra `up`
    foreign = {name.partition(".")[0] for name in source.imports()} - known - optional
    assert not foreign
