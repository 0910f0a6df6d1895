"""
An image with the pip configuration of this machine on top of another one.

    python packaging/builder.py IMAGE TAG

What is built in a container has to find the package index as this machine does: its address,
its certificates. The result is for this machine alone: it is a stage in which wheels are
installed (``BUILDER`` of the Containerfile), or an image that a test builds upon.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from pathlib import Path

SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy")
CERTIFICATES = "/etc/ssl/certs/of-the-builder.crt"


def main(image: str, tag: str) -> int:
    """Build it with the engine's ``docker build``; its exit code."""
    found = settings()
    user = output("docker", "inspect", "--format", "{{.Config.User}}", image) or "root"
    lines = [f"FROM {image}", "USER root"]
    certificates = b""
    if file := found.get("cert"):
        certificates = Path(file).read_bytes()
        lines += ["COPY certificates " + CERTIFICATES, f"ENV PIP_CERT={CERTIFICATES}"]
    for name in SETTINGS:
        if name in found:
            lines.append(f'ENV PIP_{name.upper().replace("-", "_")}="{found[name]}"')
    lines.append(f"USER {user}")
    files = {"Dockerfile": "\n".join(lines).encode(), "certificates": certificates}
    command = ["docker", "build", "--quiet", "--tag", tag, "-"]
    return subprocess.run(command, input=packed(files), check=False).returncode


def settings() -> dict[str, str]:
    """Pip's own view of its configuration: files and variables."""
    listed = output(sys.executable, "-m", "pip", "config", "list")
    pairs = (line.partition("=") for line in listed.splitlines())
    return {name.rpartition(".")[2]: value.strip("'\"") for name, _, value in pairs}


def output(*command: str) -> str:
    """Run a command; return what it prints."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def packed(files: dict[str, bytes]) -> bytes:
    """Return a context for the engine: the same bytes for the same files, so its cache is used."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            archive.addfile(info, io.BytesIO(content))
    return written.getvalue()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
