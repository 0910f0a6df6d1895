"""Replace versions while agents call: with the official client, which connects once."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.actions import version_source
from tests.support.agents import Agent, Agents
from tests.support.gateway import GatewayProcess
from tests.support.server import Server, mcp_url

from .outcome import Outcome


def replace_under_agents(server: Server, replacements: int = 1000, callers: int = 8) -> Outcome:
    """Replace the action of a server, which its agents call as a tool."""
    server.replace(1)
    with Agents() as agents:
        agent = agents.connect(mcp_url(server))
        return _call_meanwhile(agent, "action", server.replace, replacements, callers)


def update_under_agents(updates: int = 300, callers: int = 8) -> Outcome:
    """Update an action of a gateway, which its agents call as a tool."""
    with GatewayProcess() as gateway, Agents() as agents:
        gateway.create("echo", version_source(1))
        bearer = {"Authorization": f"Bearer {gateway.auth}"}
        agent = agents.connect(f"{gateway.url}/mcp", bearer)

        def update(number: int) -> None:
            gateway.create("echo", version_source(number))

        return _call_meanwhile(agent, "echo", update, updates, callers)


def _call_meanwhile(
    agent: Agent, tool: str, replace: Callable[[int], None], replacements: int, callers: int
) -> Outcome:
    """
    Replace while callers call one time after the other.

    After each replacement is acknowledged, a further call must be answered by the new version.
    """
    outcome = Outcome(f"{callers} callers, {replacements} replacements")
    agent.begin(tool, callers)
    stale = 0
    for number in range(2, replacements + 2):
        replace(number)
        answer = agent.call(tool, token=number)
        stale += answer["structuredContent"] != {"version": number, "token": number}
    counted = agent.end()
    stale += counted["stale"]
    outcome.problems += counted["failed"][:5]
    outcome.expect(not counted["failed"], f"{len(counted['failed'])} calls failed")
    outcome.expect(not stale, f"{stale} answers of an earlier version")
    outcome.expect(counted["calls"] >= callers, f"only {counted['calls']} calls")
    outcome.result = (
        f"{counted['calls'] + replacements} calls in one session, {len(counted['failed'])} failed, "
        f"{stale} stale"
    )
    return outcome
