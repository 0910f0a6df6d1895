"""The log of a server: lines on stderr, or lines of JSON on stdout."""

from __future__ import annotations

from hotwhisk.server import server_options
from hotwhisk.system.output import Output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.config.config import Config
    from hotwhisk.supervisor.action_output import ActionOutput
    from hotwhisk.supervisor.log_events import LogEvent
    from hotwhisk.supervisor.parts import Parts

STDERR = 2
FIRST_OTHER = 3
"""The lowest number of a descriptor that is no standard stream."""


class ServerLog:
    """
    Writes the lines for the operator of a server, once `begin` was called.

    Under OpenWhisk a text log has none of them, because stderr is the action's.
    """

    def __init__(self, config: Config) -> None:
        self._openwhisk = config.openwhisk
        self._json: ActionOutput | None = None
        self._stderr: Output | None = None
        self.writer = server_options.log_writer(config)
        """Writes the whole log, with what the actions print; None if the log is text."""

    def begin(self, parts: Parts) -> None:
        """Write from now on: by ``parts.output`` if the log is JSON, else to stderr."""
        self._json = parts.output
        self._stderr = Output(STDERR, parts.scoreboard.streams[STDERR], FIRST_OTHER)

    def __call__(self, text: str, event: LogEvent) -> None:
        """Write a line; ``event`` names it in a log of JSON."""
        if self._json is not None:
            self._json.log(text, event)
        elif self._stderr is not None and not self._openwhisk:
            # A closed terminal, a full disk or a log without a reader costs this line only.
            self._stderr.write(self.line(text, event).encode(errors="replace"), timeout=0.0)

    def line(self, text: str, event: LogEvent) -> str:  # noqa: ARG002 - for other forms of a line
        """Return the line of a text log."""
        return f"hotwhisk: {text}\n"
