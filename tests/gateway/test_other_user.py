"""What another user of the machine gets from a gateway: nothing."""

from __future__ import annotations

import http.client
import os
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from tests.support import tree
from tests.support.gateway import GatewayProcess

pytestmark = pytest.mark.slow

OTHER = 65534
LISTENING = "0A"


def ports_of(pids: set[int]) -> set[int]:
    """Return the TCP ports on which processes listen."""
    inodes = set()
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(os.readlink(entry))
            except OSError:  # closed meanwhile
                continue
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {
        int(row[1].partition(":")[2], 16)
        for row in rows
        if row[3] == LISTENING and f"socket:[{row[9]}]" in inodes
    }


def refuses(port: int, token: str = "") -> bool:
    """Return whether a server answers 401 to both of its requests."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    statuses = []
    for path in ("/run", "/init"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("POST", path, b'{"value":{}}', headers)
        statuses.append(connection.getresponse().status)
        connection.close()
    return statuses == [401, 401]


def test_another_local_user_gets_nothing() -> None:
    with GatewayProcess() as gateway:
        gateway.create("secret", "def main(args):\n    return {}\n")
        assert gateway.invoke("secret")["response"]["success"]
        (port,) = ports_of(tree.below(gateway.process.pid)) - {gateway.port}
        assert refuses(port)
        assert refuses(port, "a-guess")
        gateway.folder.chmod(0o755)  # so that only the folder of data itself is in the way
        assert stat.S_IMODE(gateway.data.stat().st_mode) == 0o700
        assert stat.S_IMODE((gateway.data / "hotwhisk.db").stat().st_mode) == 0o600
        if os.getuid() == 0:  # only root can become another user
            others = {"user": OTHER, "group": OTHER, "extra_groups": []}
            for command in (["ls", gateway.data], ["cat", gateway.data / "hotwhisk.db"]):
                done = subprocess.run(command, check=False, capture_output=True, **others)  # type: ignore[call-overload]
                assert done.returncode
                assert not done.stdout


def test_no_port_is_open_to_other_machines(shared_gateway: GatewayProcess) -> None:
    shared_gateway.create("local", "def main(args):\n    return {}\n")
    assert shared_gateway.invoke("local")["response"]["success"]
    ports = ports_of(tree.below(shared_gateway.process.pid))
    rows = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    loopback = f"{int.from_bytes(socket.inet_aton('127.0.0.1'), 'little'):08X}"
    hosts = {row.partition(":")[0] for row in rows if int(row.partition(":")[2], 16) in ports}
    assert hosts == {loopback}
