"""
Start a hotwhisk server for one action, which only the process that starts it can call.

That process opens the port and passes it on, so no call is refused while the server starts, and no
other process can take the port. A token keeps other users of the machine out; it is in a file that
only its owner can read.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hotwhisk.platform.process_runtime import ProcessRuntime
from hotwhisk.platform.runtime import spawn

# LISTEN_PID must be the server's own process id: a shell sets it and becomes the server.
_SHELL: Final = 'exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"'
_BACKLOG: Final = 1024


@dataclass(frozen=True, slots=True)
class Launch:
    """
    What each action server is started with.

    ``token_file`` holds ``token``. ``folder`` becomes the working directory, ``run_dir`` holds the
    control sockets. ``environ`` is the whole environment. ``program`` runs a command of hotwhisk.
    """

    token: str
    token_file: str
    folder: str
    run_dir: str
    environ: Mapping[str, str]
    program: Sequence[str] = (sys.executable, "-m", "hotwhisk")


class ActionServer(ProcessRuntime):
    """A ``hotwhisk serve --openwhisk`` that takes every version of one action."""

    lives_on = True

    def __init__(self, launch: Launch) -> None:
        command = [
            *launch.program, "serve", "--openwhisk",
            "--token-file", launch.token_file, "--run-dir", launch.run_dir,
        ]  # fmt: skip
        super().__init__(command, folder=launch.folder)
        self.token = launch.token
        self._variables = launch.environ

    def _start(self) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(_BACKLOG)
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            self._process, self.logs = spawn(
                ["/bin/sh", "-c", _SHELL, "sh", *self._command],
                self._folder,
                stdin=listener.fileno(),
                environ=self._variables,
            )
