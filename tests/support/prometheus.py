"""A real Prometheus, which scrapes one target and answers queries."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Self

import pytest

SECONDS = 30.0
"""How long Prometheus may take for anything."""

CONFIG = """\
global:
  scrape_interval: 250ms
  scrape_timeout: 250ms
scrape_configs:
  - job_name: action
    {extra}
    static_configs:
      - targets: ["{target}"]
"""


def prometheus() -> str:
    """Return the path of Prometheus, which is installed from Debian if it is missing."""
    found = shutil.which("prometheus")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (["update"], ["install", "-y", "--no-install-recommends", "prometheus"]):
            environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(
                ["apt-get", "-qq", *command], check=True, capture_output=True, env=environ
            )
        found = shutil.which("prometheus")
    if found is None:
        pytest.fail("the test of the metrics needs Prometheus: apt-get install prometheus")
    return found


class Prometheus:
    """
    A running Prometheus; a context manager. ``extra`` is one more line of the configuration of the
    target, which is a host and a port.
    """

    def __init__(self, target: str, folder: Path, extra: str = "") -> None:
        config = folder / "prometheus.yml"
        config.write_text(CONFIG.format(target=target, extra=extra))
        self._command = [
            prometheus(), f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
            "--web.listen-address=127.0.0.1:0",
        ]  # fmt: skip

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, env={**os.environ, "GOMAXPROCS": "1"},
        )  # fmt: skip
        try:
            self.url = f"http://{self._wait_ready()}"
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def _wait_ready(self) -> str:
        """Return where Prometheus listens, by its log, once that says that it answers."""
        pipe, deadline, log = self._process.stderr, time.monotonic() + SECONDS, b""
        assert pipe is not None
        ready, listens = (
            b"Server is ready to receive web requests",
            rb'"Listening on"(?: component=\S+)? address=(\S+)',
        )
        while not (ready in log and (found := re.search(listens, log))):  # in either order
            left = max(0.0, deadline - time.monotonic())
            assert select.select([pipe], [], [], left)[0], f"Prometheus is not ready: {log!r}"
            data = os.read(pipe.fileno(), 65536)
            assert data, f"Prometheus has ended: {log!r}"
            log += data
        return found[1].decode()

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of its API."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=SECONDS) as answer:
            return json.load(answer)["data"]

    def values(self, query: str) -> dict[str, float]:
        """Return the values of a query by the texts of their labels, without job and instance."""
        found = {}
        for each in self.ask("query", query=query)["result"]:
            labels = {
                name: text
                for name, text in each["metric"].items()
                if name not in ("__name__", "job", "instance")
            }
            found[",".join(labels.values())] = float(each["value"][1])
        return found

    def wait_values(self, query: str, expected: dict[str, float]) -> None:
        """Ask until a query has these values; each scrape takes a quarter of a second."""
        deadline = time.monotonic() + SECONDS
        while (found := self.values(query)) != expected:
            assert time.monotonic() < deadline, f"{query}: {found}, expected {expected}"
            select.select([], [], [], 0.05)
