"""
Where an action runs, as the invoker sees it: something with an address, that can be
started, frozen, thawed and thrown away, and whose log can be read.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from hotwhisk.errors import StartError
from hotwhisk.invoker.action import Action
from hotwhisk.invoker.logs import LogStream

_OOM_SECONDS = 2.0
_OOM_PAUSE = 0.05


class Runtime(ABC):
    """
    A container of the platform's, whatever it is made of. A context manager.

    ``pinned`` is the action that it was initialised with, once it was.
    """

    can_restart = True

    def __init__(self) -> None:
        self.url = ""
        self.logs: LogStream | None = None
        self.started = False
        self.paused = False
        self.pinned: Action | None = None
        self.lock = threading.RLock()

    def __enter__(self) -> Self:
        if not self.started:
            self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """
        Start it, uninitialised. Whether it listens already is nobody's business.
        """
        self._start()
        self.started, self.paused, self.pinned = True, False, None

    def stop(self) -> None:
        """
        Remove it at once, without a word to it, as the platform does.
        """
        if self.started:
            self._stop()
            self.started, self.paused, self.pinned = False, False, None

    def pause(self) -> None:
        """
        Freeze it, as after ten seconds without a call.
        """
        if not self.paused:
            self._pause()
            self.paused = True

    def resume(self) -> None:
        """
        Thaw it.
        """
        if self.paused:
            self._resume()
            self.paused = False

    def out_of_memory(self) -> bool:
        """
        Whether it was killed because its memory was exhausted.
        """
        return False

    @abstractmethod
    def _start(self) -> None: ...

    @abstractmethod
    def _stop(self) -> None: ...

    @abstractmethod
    def _pause(self) -> None: ...

    @abstractmethod
    def _resume(self) -> None: ...


class UrlRuntime(Runtime):
    """
    A server that somebody else started: its log cannot be read, and nothing done to it.
    """

    can_restart = False

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def _start(self) -> None:
        pass

    def _stop(self) -> None:
        pass

    def _pause(self) -> None:
        pass

    def _resume(self) -> None:
        pass


class ContainerRuntime(Runtime):
    """
    A container of an image, with the limits that the platform sets.

    ``arguments`` are further ones for ``docker run``; ``docker`` may name another engine
    with the same command line.
    """

    def __init__(
        self,
        image: str,
        *,
        env: Mapping[str, str] | None = None,
        memory: int = 256,
        arguments: Sequence[str] = (),
        docker: str = "docker",
    ) -> None:
        super().__init__()
        self.image = image
        self.identity = ""
        self._env = dict(env or {})
        self._arguments = (f"--memory={memory}m", f"--memory-swap={memory}m", *arguments)
        self._docker = docker
        self._follower: subprocess.Popen[bytes] | None = None

    def out_of_memory(self) -> bool:
        """
        What the engine says; it takes a moment to notice.
        """
        end = time.monotonic() + _OOM_SECONDS
        while time.monotonic() < end:
            if self._engine("inspect", "-f", "{{.State.OOMKilled}}", self.identity) == "true":
                return True
            time.sleep(_OOM_PAUSE)
        return False

    def _start(self) -> None:
        variables = [f"--env={name}={value}" for name, value in self._env.items()]
        limits = ("--cap-drop=NET_RAW", "--cap-drop=NET_ADMIN", "--ulimit=nofile=1024:1024")
        port = ("--pids-limit=1024", "--publish=127.0.0.1::8080")
        options = [*limits, *port, *variables, *self._arguments]
        self.identity = self._engine("run", "--detach", *options, self.image)
        address = self._engine("port", self.identity, "8080/tcp").splitlines()[0]
        self.url = f"http://{address}"
        command = [self._docker, "logs", "--follow", self.identity]
        self._follower, self.logs = spawn(command)

    def _stop(self) -> None:
        self._engine("rm", "--force", self.identity)
        if self._follower is not None:
            self._follower.wait()
        if self.logs is not None:
            self.logs.wait_end(_OOM_SECONDS)

    def _pause(self) -> None:
        self._engine("pause", self.identity)

    def _resume(self) -> None:
        self._engine("unpause", self.identity)

    def _engine(self, *arguments: str) -> str:
        command = [self._docker, *arguments]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        except FileNotFoundError:
            raise StartError(f"{self._docker}: no such program; is it installed?") from None
        except subprocess.CalledProcessError as error:
            words = " ".join(arguments[:1])
            raise StartError(f"{self._docker} {words} failed: {error.stderr.strip()}") from None
        return done.stdout.strip()


def spawn(
    command: Sequence[str], folder: str | None = None
) -> tuple[subprocess.Popen[bytes], LogStream]:
    """
    Start a command in a session of its own and read both its streams from now on.
    """
    ends, held = os.pipe(), []
    try:
        held = [*ends, *os.pipe()]
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=held[1],
            stderr=held[3],
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        for end in held or ends:
            os.close(end)
        raise StartError(f"{command[0]} cannot be started: {error.strerror}") from None
    os.close(held[1])
    os.close(held[3])
    return process, LogStream(held[0], held[2])
