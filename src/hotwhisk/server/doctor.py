"""
Find out whether this machine can run a server: ``hotwhisk doctor``.

Each feature is tried for real, and each limit is read as the server reads it. A feature is tried in
a child process, for two reasons. A filter of system calls may kill the process that makes a call.
And a trial changes the process (child subreaper, OOM score); the change ends with the child.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import resource
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from hotwhisk import __version__
from hotwhisk.config.config import Config
from hotwhisk.errors import StartError
from hotwhisk.server import run_folder
from hotwhisk.supervisor import resources
from hotwhisk.system import control_group, features
from hotwhisk.system.features import Feature

OK, WARNS, FAILS = "ok", "warns", "fails"
OLDEST_KERNEL = (5, 4)
FEW_CONNECTIONS = 300
"""Connections below which the check of the limit of open files prints a warning."""

FEW_PROCESSES = 64
SECCOMP = {"0": "no filter", "1": "strict", "2": "a filter"}
READ_ALL = 3  # of syslog(2)


class Check(NamedTuple):
    """The result of one check; ``cost`` and ``remedy`` are empty if nothing is wrong."""

    name: str
    verdict: str
    found: str
    cost: str = ""
    remedy: str = ""


def run_checks(config: Config, environ: Mapping[str, str]) -> Iterator[Check]:
    """Make every check, and yield the results; required features come first."""
    for feature in features.REQUIRED:
        yield _try(feature, FAILS)
    yield _folder(config, environ)
    yield _files(config)
    for feature in features.OPTIONAL:
        yield _try(feature, WARNS)
    yield _modules(config, environ)
    yield _processes()
    yield _memory()
    yield _kernel()
    yield _sandbox()
    yield Check("process", OK, f"pid {os.getpid()}, uid {os.getuid()}")
    yield Check("versions", OK, f"hotwhisk {__version__}, Python {platform.python_version()}")


def _try(feature: Feature, worst: str) -> Check:
    problem = probe(feature)
    if not problem:
        return Check(feature.name, OK, "works")
    return Check(feature.name, worst, problem, feature.cost, feature.remedy)


def probe(feature: Feature) -> str:
    """Return why a child cannot have a feature; empty if it can."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        text = "it failed in an unknown way"
        try:
            feature.probe()
            text = ""
        except OSError as error:
            text = error.strerror or str(error)
        finally:
            os.write(theirs, text.encode())
            os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as pipe:
        text = pipe.read().decode()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return f"a process that makes the call is ended by {name}"
    return text


def _folder(config: Config, environ: Mapping[str, str]) -> Check:
    try:
        folder = run_folder.open_folder(config, environ)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(mmap.PAGESIZE))
    except (OSError, StartError) as error:
        return Check("run folder", FAILS, str(error), "the server does not start", "--run-dir")
    return Check("run folder", OK, f"{folder} can be written to")


def _modules(config: Config, environ: Mapping[str, str]) -> Check:
    """Check that native modules and programs can be mapped from the run folder."""

    def attempt() -> None:
        with tempfile.TemporaryFile(dir=run_folder.open_folder(config, environ)) as file:
            file.write(bytes(mmap.PAGESIZE))
            file.flush()
            readable = mmap.PROT_READ | mmap.PROT_EXEC
            mmap.mmap(file.fileno(), mmap.PAGESIZE, mmap.MAP_PRIVATE, readable).close()

    try:
        return _try(
            Feature(
                "code in the run folder",
                attempt,
                "posted native modules and programs cannot be loaded",
                "mount it with exec, such as --tmpfs /tmp:exec, or give another --run-dir",
            ),
            WARNS,
        )
    except StartError as error:
        return Check("code in the run folder", WARNS, str(error), "unknown", "--run-dir")


def _files(config: Config) -> Check:
    most, (soft, hard) = resources.limits(config.workers.least)
    found = f"limit {soft}, hard limit {hard}: {most} connections"
    remedy = "raise the hard limit: ulimit -Hn, --ulimit nofile, LimitNOFILE="
    if most < resources.FEWEST_CONNECTIONS:
        return Check("open files", FAILS, found, "the server does not start", remedy)
    if most < FEW_CONNECTIONS:
        return Check("open files", WARNS, found, "more connections wait in the backlog", remedy)
    return Check("open files", OK, found)


def _processes() -> Check:
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    most = control_group.read(control_group.find("processes"))
    numbers = [] if soft == resource.RLIM_INFINITY else [soft]
    numbers += [int(most)] if most.isdecimal() else []
    if not numbers:
        return Check("processes", OK, "no limit")
    found = f"at most {min(numbers)} for the user or the control group"
    if min(numbers) < FEW_PROCESSES:
        cost = "a replacement needs three beside those that the action starts"
        return Check("processes", WARNS, found, cost, "--pids-limit, pids.max, ulimit -u")
    return Check("processes", OK, found)


def _memory() -> Check:
    limit = control_group.read(control_group.find("memory"))
    path = control_group.find("together")
    megabytes = int(limit) >> 20 if limit.isdecimal() else 0
    found = f"at most {megabytes} MB" if 0 < megabytes < 1 << 24 else "no limit"
    if control_group.read(path) == "1":
        return Check(
            "memory",
            WARNS,
            f"{found}, and the group is killed as one (memory.oom.group)",
            "an action that runs out of memory takes the supervisor with it: no request is answered",
            "kubelet: singleProcessOOMKill: true; systemd: OOMPolicy=continue",
        )
    return Check("memory", OK, found)


def _kernel() -> Check:
    release = os.uname().release
    numbers = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdecimal())
    if sys.platform != "linux" or numbers < OLDEST_KERNEL:
        return Check(
            "kernel", WARNS, release, "it is not tested on this kernel", "Linux 5.4 or newer"
        )
    return Check("kernel", OK, f"{release} on {os.uname().machine}")


def _sandbox() -> Check:
    status = control_group.read("/proc/self/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    found = SECCOMP.get(fields.get("Seccomp", ""), "unknown")
    found = f"seccomp: {found}, no_new_privs: {fields.get('NoNewPrivs', 'unknown')}"
    if is_gvisor():
        return Check(
            "sandbox",
            WARNS,
            f"gVisor (runsc), {found}",
            "what its kernel does not do is listed above",
            "compare the figures of an action before switching",
        )
    return Check("sandbox", OK, found)


def is_gvisor() -> bool:
    """Return whether the kernel is gVisor's, by its log, which every user may read."""
    buffer = ctypes.create_string_buffer(8192)
    length = ctypes.CDLL(None).klogctl(READ_ALL, buffer, len(buffer))
    return length > 0 and b"Starting gVisor" in buffer.raw[:length]
