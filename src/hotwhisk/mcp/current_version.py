"""Ask a server of ``hotwhisk serve`` which version is current, and read its source."""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

from hotwhisk.artifact import archive, artifact, members, snapshot
from hotwhisk.artifact.kinds import Kind
from hotwhisk.artifact.posted_code import decode
from hotwhisk.config.addresses import CONTROL_VERSION
from hotwhisk.config.platform import Profile
from hotwhisk.errors import HotwhiskError
from hotwhisk.mcp.schema import MOST_SOURCE, Description, describe
from hotwhisk.openwhisk.bodies import read_init

TIMEOUT: Final = 10.0
_QUESTION: Final = json.dumps({"version": CONTROL_VERSION, "ask": "current"}).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class DescribedVersion:
    """
    The version of an action that is current.

    ``refusal`` says why a later one is not, with its traceback; empty if there is none.
    """

    generation: int = 0
    description: Description = field(default_factory=Description, hash=False)
    refusal: str = ""


class CurrentVersion:
    """Asks at the control socket of a server. Any thread may use it."""

    def __init__(self, control: str) -> None:
        self._control = control
        self._one_at_a_time = threading.Lock()  # a server takes few questions at once
        self._known = DescribedVersion()

    def read(self) -> DescribedVersion:
        """Return the version that is current now; the last one if the server does not answer."""
        with self._one_at_a_time:
            try:
                answer, descriptor = _ask(self._control)
            except (OSError, ValueError):
                return self._known
            try:
                generation, described = answer["generation"], self._known.description
                if generation != self._known.generation:
                    described = _described(answer, descriptor)
                self._known = DescribedVersion(generation, described, answer["refusal"])
            finally:
                if descriptor >= 0:
                    os.close(descriptor)
            return self._known


def _ask(path: str) -> tuple[dict[str, Any], int]:
    """Return the answer to a question, and the descriptor that came with it; -1 if none did."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect(path)
        connection.sendall(_QUESTION)
        received, descriptors, _, _ = socket.recv_fds(connection, 65536, 1)
        parts = [received]
        try:
            while part := connection.recv(65536):
                parts.append(part)
            answer: dict[str, Any] = json.loads(b"".join(parts))
            if "generation" not in answer:
                raise ValueError(f"{path} answers {answer}")
        except BaseException:
            for each in descriptors:
                os.close(each)
            raise
    return answer, descriptors[0] if descriptors else -1


def _described(answer: dict[str, Any], descriptor: int) -> Description:
    if descriptor < 0:
        return Description()
    content = os.pread(descriptor, answer["length"], answer["offset"])
    main = answer["main"]
    try:
        if not main:  # the body of an /init
            request = read_init(content, Profile.PLAIN)
            content, main = decode(request), request.main
        source = _source(content)
    except archive.damage_errors(HotwhiskError):
        return Description()
    return describe(source.decode("utf-8", "replace"), main)


def _source(content: bytes) -> bytes:
    """Return the source that is run of an artifact, or nothing if it has none."""
    kept = snapshot.unpack(content)
    if kept is not None:
        return kept.files.get(kept.entry, b"")
    if artifact.detect(content) is Kind.SOURCE:
        return content
    names = {each.name for each in members.list_members(content)}
    entry = next((each for each in members.PYTHON_ENTRIES if each in names), "")
    return members.read_member(content, entry, MOST_SOURCE + 1) or b""
