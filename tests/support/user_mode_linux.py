"""
Run a program in a Linux of its own: a kernel that is a process of this user.

It has what a test cannot make elsewhere, such as control groups of version 2 that are its own. Its
root is this machine's file system, with empty folders at ``/run`` and ``/mnt``. The kernel is
Debian's package user-mode-linux, which is fetched once into ``build-out`` and not installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FETCHED = ROOT / "build-out" / "user-mode-linux"
MEGABYTES = 1500
RUN_SECONDS = 240.0
FETCH_SECONDS = 300.0
_INIT = """\
#!{python}
import ctypes, os, subprocess, sys
for kind, place in (("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", "/run"), ("tmpfs", "/mnt")):
    subprocess.run(["mount", "-t", kind, kind, place], check=True)
os.makedirs("/dev/shm", exist_ok=True)
subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/dev/shm"], check=True)
subprocess.run(["mount", "-t", "cgroup2", "none", "/sys/fs/cgroup"], check=True)
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
os.environ.update(PATH={path!r}, HOME="/mnt", TMPDIR="/mnt", LANG="C.UTF-8")
subprocess.run([sys.executable, {program!r}], cwd={root!r})
ctypes.CDLL(None).reboot(0x4321FEDC)  # power off
"""


def run_inside(program: Path, folder: Path) -> str:
    """Run a Python program as root of a Linux of its own; return what it printed."""
    init = folder / "init"
    init.write_text(
        _INIT.format(
            python=sys.executable, path=os.environ["PATH"], program=str(program), root=str(ROOT)
        )
    )
    init.chmod(0o755)
    command = [
        str(_kernel()), f"mem={MEGABYTES}M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/",
        "rw", f"init={init}", "con=null", "con0=null,fd:1", "quiet",
    ]  # fmt: skip
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=RUN_SECONDS, check=False,
    )  # fmt: skip
    return done.stdout.decode(errors="replace")


def _kernel() -> Path:
    kernel = FETCHED / "usr" / "bin" / "linux.uml"
    if not kernel.exists():
        if shutil.which("apt-get") is None or os.uname().machine != "x86_64":
            pytest.fail("user-mode-linux is needed, a package of Debian for x86_64")
        FETCHED.mkdir(parents=True, exist_ok=True)
        _fetch("apt-get", "-o", "APT::Sandbox::User=root", "download", "user-mode-linux")
        _fetch("dpkg-deb", "--extract", *map(str, FETCHED.glob("*.deb")), ".")
    return kernel


def _fetch(*command: str) -> None:
    done = subprocess.run(
        command, cwd=FETCHED, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
    )
    if done.returncode:
        pytest.fail(f"user-mode-linux is needed (apt-get update may help): {done.stderr}")
