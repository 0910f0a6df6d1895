"""
The Model Context Protocol: an action is a tool that an agent calls.

    agent ── POST /mcp ── tool_requests ── tool_answers ── tools ── hotwhisk up, or hotwhisk serve
                                                             │
                                           schema: what a tool takes, from the source

Revision 2026-07-28 has no session: each request is complete in itself. Clients of the revisions
before it begin with a handshake, and are answered without a session too. So a client never connects
again, whatever is replaced.
"""
