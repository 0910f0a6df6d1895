"""
Use control groups of version 2 as root of a Linux of its own, and print what was seen as JSON.

The test `tests.gateway.test_control_groups` runs it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.gateway import HOTWHISK_UP, GatewayProcess

TOP = Path("/sys/fs/cgroup/top.slice")
USER = ("setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups")
LIMIT = """
import json, os
from hotwhisk.gateway.runtimes.memory_limits import MemoryLimits
limits = MemoryLimits()
limit = limits.create(64)
found = {"method": limits.method, "uid": os.getuid()}
for name in ("memory.max", "memory.swap.max", "pids.max"):
    path = f"{limit.group}/{name}"
    found[name] = open(path).read().strip() if limit.group and os.path.exists(path) else ""
if limit.group:
    pid = os.fork()
    if not pid:
        limit.enter()
        kept = [b"x" * (1 << 20) for _ in range(300)]
        os._exit(0)
    found["signal"] = os.WTERMSIG(os.waitpid(pid, 0)[1])
    found["exhausted"] = limit.exhausted()
    limits.remove(limit)
    found["left"] = os.path.exists(limit.group)
print(json.dumps(found))
"""
ACTION = """
import subprocess, sys
EATER = "kept = [b'x' * (1 << 20) for _ in range(60)]; print(flush=True); input()"
def main(args):
    if args.get("eat"):
        kept = [b"x" * (1 << 20) for _ in range(args["eat"])]
    children = []
    for _ in range(args.get("children", 0)):
        children.append(subprocess.Popen([sys.executable, "-c", EATER], stdin=-1, stdout=-1))
        children[-1].stdout.readline()
    ends = [child.poll() for child in children]
    daemon = subprocess.Popen(["sleep", "1000"], start_new_session=True).pid
    return {"group": open("/proc/self/cgroup").read(), "ends": ends, "daemon": daemon}
"""


def group(name: str, *, of_user: bool = False) -> Path:
    """Make a control group, as systemd makes that of a unit with ``Delegate=yes``."""
    made = TOP / name
    made.mkdir()
    if of_user:
        for each in ("", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
            subprocess.run(["chown", "1000:1000", str(made / each)], check=True)
    return made


def inside(place: Path, *command: str) -> tuple[str, ...]:
    """Return a command that runs another in a control group."""
    return ("sh", "-c", 'echo 0 >"$0/cgroup.procs" && exec "$@"', str(place), *command)


def limit(place: Path, *before: str) -> Any:
    command = inside(place, *before, sys.executable, "-c", LIMIT)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


def crowd() -> Any:
    """Limit memory in a group where another process is, such as a shell."""
    place = group("crowd.scope")
    with subprocess.Popen(
        inside(place, "cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write(b"\n")
        other.stdin.flush()
        other.stdout.readline()  # it is in the group now
        found = limit(place)
        found["controllers"] = (place / "cgroup.subtree_control").read_text().strip()
        found["folders"] = folders(place)
    return found


def folders(place: Path) -> list[str]:
    return sorted(each.name for each in place.iterdir() if each.is_dir())


def gateway() -> Any:
    """Run a gateway with all that it does to its groups, kill it, and start another one."""
    place, found = group("up.service"), {}
    data = Path("/mnt/gateway")
    data.mkdir()
    command = inside(place, *HOTWHISK_UP)
    with GatewayProcess(data=data, command=command) as first:
        first.create("eats", ACTION, limits={"memory": 128})
        result = first.invoke("eats")["response"]["result"]
        found["group"] = result["group"].strip()
        found["much"] = first.invoke("eats", {"eat": 400})["response"]["result"]
        found["together"] = first.invoke("eats", {"children": 4})["response"]["result"].get("ends")
        daemon = first.invoke("eats")["response"]["result"]["daemon"]
        end = first.watch_end(daemon)
        first.process.kill()
        end()
    found["after a kill"] = len(folders(place))
    for controller in ("-memory", "-pids"):  # a service manager makes the group anew instead
        (place / "cgroup.subtree_control").write_text(controller)
    with GatewayProcess(data=data, command=command):
        found["after a start"] = folders(place)
    return found


def main() -> None:
    TOP.mkdir()
    for each in (TOP.parent, TOP):
        (each / "cgroup.subtree_control").write_text("+memory +pids")
    found = {
        "alone": limit(group("alone.service")),
        "delegated": limit(group("user.service", of_user=True), *USER),
        "crowd": crowd(),
        "gateway": gateway(),
    }
    print("FOUND", json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
