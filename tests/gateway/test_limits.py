"""What an action may not do, with the platform's texts, and that the next call is served."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hotwhisk.gateway.invocations.invocations import MOST_CALLS
from tests.support.gateway import HOTWHISK_UP, OWN_MOUNTS, GatewayProcess
from tests.support.rendezvous import Rendezvous

pytestmark = pytest.mark.slow

EATER = """
import resource
def main(args):
    if args.get("show"):
        data = resource.getrlimit(resource.RLIMIT_DATA)[0]
        return {"data": 0 if data == resource.RLIM_INFINITY else data >> 20}
    print("before")
    kept = []
    for _ in range(args.get("megabytes", 0)):
        kept.append(b"x" * (1 << 20))
    return {"eaten": len(kept)}
"""
MISBEHAVING = """
import os, signal, subprocess, sys, time
def main(args):
    print("token", args.get("token", ""))
    what = args.get("what", "")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "hang":
        time.sleep(60)
    if what == "flood":
        line = "y" * 1000
        for _ in range(200_000):
            print(line)
    if what == "fork":
        return {"children": [subprocess.Popen(["sleep", "1000"]).pid for _ in range(20)]}
    if what == "long":
        return {"long": "z" * (1 << 21)}
    return {"token": args.get("token", "")}
"""


def printed(record: dict[str, Any]) -> list[str]:
    return [line.partition(": ")[2] for line in record["logs"]]


def error(record: dict[str, Any]) -> str:
    text: str = record["response"]["result"]["error"]
    return text


def expect_healthy(gateway: GatewayProcess, name: str) -> None:
    record = gateway.invoke(name, {"token": "next"})
    assert record["response"]["result"] == {"token": "next"}
    assert printed(record) == ["token next"]


def beyond(gateway: GatewayProcess, name: str) -> int:
    """Return how many MB are too many for an action with 128 MB, by its control group or not."""
    data: int = gateway.invoke(name, {"show": True})["response"]["result"]["data"]
    return max(128, data) + 200


def expect_limited(gateway: GatewayProcess) -> None:
    gateway.create("eater", EATER, limits={"memory": 128})
    record = gateway.invoke("eater", {"megabytes": beyond(gateway, "eater")})
    assert record["response"]["status"] == "action developer error"
    assert error(record) == "The action exhausted its memory and was aborted."
    assert printed(record)[0] == "before"
    assert gateway.invoke("eater", {"megabytes": 20})["response"]["result"] == {"eaten": 20}


def test_memory_has_a_limit(shared_gateway: GatewayProcess) -> None:
    expect_limited(shared_gateway)


def test_memory_has_a_limit_without_control_groups(tmp_path: Path) -> None:
    hide = 'mount --bind "$0" /sys/fs/cgroup && exec "$@"'
    with GatewayProcess(
        command=(*OWN_MOUNTS, "sh", "-c", hide, str(tmp_path), *HOTWHISK_UP)
    ) as gateway:
        expect_limited(gateway)


def test_a_larger_limit_of_memory_is_given(shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("grows", EATER, limits={"memory": 128})
    much = {"megabytes": beyond(shared_gateway, "grows")}
    assert not shared_gateway.invoke("grows", much)["response"]["success"]
    shared_gateway.create("grows", EATER, limits={"memory": 512})
    result = shared_gateway.invoke("grows", much)["response"]["result"]
    assert result == {"eaten": much["megabytes"]}


def test_time_has_a_limit(shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("hangs", MISBEHAVING, limits={"timeout": 500})
    record = shared_gateway.invoke("hangs", {"what": "hang", "token": "slow"})
    assert error(record) == "The action exceeded its time limits of 500 milliseconds."
    assert "token slow" in printed(record)
    expect_healthy(shared_gateway, "hangs")


def test_a_death_costs_one_call(shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("dies", MISBEHAVING)
    record = shared_gateway.invoke("dies", {"what": "die", "token": "last"})
    assert record["response"]["status"] == "action developer error"
    assert "token last" in printed(record)
    expect_healthy(shared_gateway, "dies")


def test_a_flooded_log_is_cut(shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("floods", MISBEHAVING, limits={"logs": 1})
    record = shared_gateway.invoke("floods", {"what": "flood", "token": "wet"})
    assert record["response"]["success"]
    lines = printed(record)
    assert lines[0] == "token wet"
    limit = "the total bytes size exceeds the limit of 1048576 bytes."
    assert lines[-1] == f"Logs were truncated because {limit}"
    assert sum(map(len, lines)) < 1.1 * (1 << 20)
    expect_healthy(shared_gateway, "floods")


def test_a_long_result_is_refused(shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("long", MISBEHAVING)
    record = shared_gateway.invoke("long", {"what": "long"})
    assert "exceeded the allowed length" in error(record)
    expect_healthy(shared_gateway, "long")


def test_what_an_action_leaves_ends_with_its_server(shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("forks", MISBEHAVING)
    children = shared_gateway.invoke("forks", {"what": "fork"})["response"]["result"]["children"]
    assert len(children) == 20
    ends = [shared_gateway.watch_end(pid) for pid in children]
    assert shared_gateway.api("DELETE", "actions/forks").status == 200
    for end in ends:
        end()


def test_a_version_that_does_not_load_is_noted_and_healed(shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("breaks", MISBEHAVING)
    expect_healthy(shared_gateway, "breaks")
    shared_gateway.create("breaks", "import no_such_module\n")
    record = shared_gateway.invoke("breaks")
    assert record["response"]["status"] == "action developer error"
    assert any("no_such_module" in line for line in printed(record))
    assert "no_such_module" in shared_gateway.query(
        "SELECT failure FROM action_versions WHERE name = 'breaks' ORDER BY revision DESC"
    )
    shared_gateway.create("breaks", MISBEHAVING)
    expect_healthy(shared_gateway, "breaks")


RECURSIVE = """
import base64, json, os, urllib.request
def main(args):
    depth = args["depth"]
    if not depth:
        return {"depth": 0}
    url = os.environ["__OW_API_HOST"] + "/api/v1/namespaces/_/actions/" + args["name"]
    request = urllib.request.Request(
        url + "?blocking=true&result=true",
        json.dumps({"name": args["name"], "depth": depth - 1}).encode(),
        {"Content-Type": "application/json", "Authorization": "Basic "
         + base64.b64encode(os.environ["__OW_API_KEY"].encode()).decode()})
    try:
        inner = json.load(urllib.request.urlopen(request))
    except urllib.error.HTTPError as error:
        return {"error": error.read().decode()}
    return {"depth": inner["depth"] + 1}
"""
WITH_KEY = [{"key": "provide-api-key", "value": True}]


def test_an_action_that_calls_itself_is_served(shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("recursive", RECURSIVE, annotations=WITH_KEY)
    record = shared_gateway.invoke("recursive", {"name": "recursive", "depth": 7})
    assert record["response"]["result"] == {"depth": 7}


OVERLAPPING = """
import asyncio
async def main(args):
    print("begin", args["token"])
    await asyncio.sleep(0.3)
    print("end", args["token"])
    return {"token": args["token"]}
"""


def test_runs_overlap_if_the_action_allows_it(shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("overlaps", OVERLAPPING, limits={"concurrency": 50})
    alone = shared_gateway.invoke("overlaps", {"token": "alone"})
    assert printed(alone) == ["begin alone", "end alone"]
    assert "sharedLogs" not in [each["key"] for each in alone["annotations"]]
    records: list[dict[str, Any]] = []

    def call(token: str) -> None:
        records.append(shared_gateway.invoke("overlaps", {"token": token}))

    threads = [threading.Thread(target=call, args=(f"t{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for record in records:
        token = record["response"]["result"]["token"]
        assert {f"begin {token}", f"end {token}"} <= set(printed(record))
    assert sum("initTime" in str(record["annotations"]) for record in records) == 0


HELD = """
import os, socket
def main(args):
    end = socket.socket(socket.AF_UNIX)
    end.connect(args["at"])
    end.sendall(str(os.getpid()).encode())
    end.recv(1)
    return {}
"""


def test_synchronous_runs_overlap_if_the_action_allows_it(shared_gateway: GatewayProcess) -> None:
    calls = 10
    shared_gateway.create("held", HELD)
    with Rendezvous() as meet, ThreadPoolExecutor(calls) as threads:
        alone = threads.submit(shared_gateway.invoke, "held", {"at": meet.path})
        meet.wait_arrival().release()
        assert alone.result()["response"]["success"]
        shared_gateway.create("held", HELD, limits={"concurrency": calls})
        records = [
            threads.submit(shared_gateway.invoke, "held", {"at": meet.path}) for _ in range(calls)
        ]
        held = [meet.wait_arrival() for _ in records]
        assert len({each.pid for each in held}) == calls
        for each in held:
            each.release()
        assert all(each.result()["response"]["success"] for each in records)
    started = shared_gateway.stderr().count("server of guest/held started")
    assert started == 2, "one for each limit: a server has as many workers as its action allows"


def test_a_run_beyond_its_time_ends_no_other_run(shared_gateway: GatewayProcess) -> None:
    limits = {"concurrency": 5, "timeout": 2000}
    shared_gateway.create("shared", HELD, limits=limits)
    shared_gateway.create("naps", SLOW)
    with Rendezvous() as meet, ThreadPoolExecutor(2) as threads:
        late = threads.submit(shared_gateway.invoke, "shared", {"at": meet.path})
        meet.wait_arrival()
        shared_gateway.invoke("naps", {"seconds": 1})
        other = threads.submit(shared_gateway.invoke, "shared", {"at": meet.path})
        held = meet.wait_arrival()
        assert error(late.result()) == "The action exceeded its time limits of 2000 milliseconds."
        held.release()
        assert other.result()["response"]["success"]
        shared_gateway.wait_line("server of guest/shared ended", 10)
        again = threads.submit(shared_gateway.invoke, "shared", {"at": meet.path})
        meet.wait_arrival().release()
        assert again.result()["response"]["success"]


SLOW = "import time\ndef main(args):\n    time.sleep(args['seconds'])\n    return {}\n"


def test_calls_beyond_the_limit_are_refused() -> None:
    with GatewayProcess("--drain-timeout", "0.1") as gateway:
        gateway.create("slow", SLOW)
        call = {"seconds": 30}
        answers = [gateway.api("POST", "actions/slow", call) for _ in range(MOST_CALLS + 1)]
    assert {each.status for each in answers[:-1]} == {202}
    assert answers[-1].status == 429
    expected = f"Too many concurrent requests in flight (count: {MOST_CALLS + 1}, allowed: 256)."
    assert answers[-1].json["error"] == expected


def test_the_number_of_servers_is_an_option() -> None:
    with GatewayProcess("--most-servers", "1", "--most-servers-per-action", "3") as gateway:
        for name in ("first", "second"):
            gateway.create(name, "def main(args):\n    return {}\n")
        for name in ("first", "second", "first"):
            assert gateway.invoke(name)["response"]["success"]
        gateway.wait_line(
            "(?s)guest/first started.*guest/first ended.*guest/second ended.*guest/first started",
            10,
        )
