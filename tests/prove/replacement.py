"""Replace versions under load: nothing refused, lost or stale, and no connection closed."""

from __future__ import annotations

from tests.support.load import Plan, run_load

from .outcome import Outcome, Replaceable


def replace_under_load(
    server: Replaceable, clients: int = 64, replacements: int = 200, between: int = 128
) -> Outcome:
    """Replace while half the clients open a connection per request, and half keep theirs."""
    server.replace(1)
    plan = Plan(
        server.address,
        clients=clients,
        replacements=replacements,
        between=between,
        command=server.replace_command,
        run_path=server.run_path,
    )
    result = run_load(plan)
    outcome = Outcome(f"{clients} clients, {result.replacements} replacements")
    outcome.result = (
        f"{result.answered} answered, {result.refused} refused, {result.lost} lost, "
        f"{result.stale} stale, {result.wrong} wrong, "
        f"{result.kept_same}/{result.kept} kept connections the same; "
        f"longest replacement {result.longest_replacement * 1000:.0f} ms"
    )
    outcome.problems += result.problems(plan)
    return outcome
