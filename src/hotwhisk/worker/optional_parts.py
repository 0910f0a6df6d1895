"""The parts of a worker that only an option needs; `hotwhisk.worker.worker_options` makes them."""

from __future__ import annotations

from collections.abc import Callable

from hotwhisk.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from hotwhisk.config.tokens import Tokens
    from hotwhisk.ipc.channel import Channel
    from hotwhisk.worker.loading import Adapt
    from hotwhisk.worker.only_run import OnlyRun
    from hotwhisk.worker.run_marker import RunMarker


class OptionalParts(Record):
    """What options add to a worker; each part is None without its option."""

    only_run: OnlyRun | None = None
    """With ``--fresh``."""
    mark_runs: Callable[[Channel, int], RunMarker] | None = None
    """With ``--log-format json``: makes what marks the runs in the output of the action."""
    read_tokens: Callable[[Tokens], Tokens] | None = None
    """With ``--token-file``: given the tokens so far, returns those that the files hold now."""
    requests: Callable[..., Any] | None = None
    """With ``--cloudevents``: makes what answers them too, in the place of `Requests`."""
    adapt: Adapt | None = None
    """With ``--cloudevents``: has the Functions Framework call a function of its own."""
