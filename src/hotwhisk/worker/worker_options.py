"""
Import the parts of a worker that only an option needs, if the option is given.

The supervisor calls this before it forks any worker. If the workers imported these parts, each of
them would, and pay for it in time and memory. If a server imported all of them, each container
would pay for what few use. `hotwhisk.server.server_options` does the same for the parts of the
supervisor. A test has the list of them all.
"""

from __future__ import annotations

from functools import partial

from hotwhisk.worker.optional_parts import OptionalParts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.config.config import Config


def optional_parts(config: Config) -> OptionalParts:
    """Return the parts that these options need, imported."""
    only_run = mark_runs = read_tokens = requests = adapt = None
    if config.fresh:
        from hotwhisk.worker.only_run import OnlyRun
        from hotwhisk.worker.rehearsal import rehearse

        only_run = OnlyRun(partial(rehearse, config))
    if config.json_log:
        from hotwhisk.worker.run_marker import RunMarker

        mark_runs = RunMarker
    if config.has_token_file:
        from hotwhisk.access.token_files import TokenFiles

        read_tokens = TokenFiles(config).read_again
    if config.cloudevents:
        from hotwhisk.worker.event_requests import EventRequests
        from hotwhisk.worker.framework_function import framework_action

        requests, adapt = EventRequests, framework_action
    return OptionalParts(only_run, mark_runs, read_tokens, requests, adapt)
