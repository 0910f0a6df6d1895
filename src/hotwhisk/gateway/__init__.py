"""
The platform on one machine: OpenWhisk's REST API and a page, in front of one server per action.

``hotwhisk up`` imports this package, and nothing else does. It needs the extra ``hotwhisk[up]``.

    client ── api/ ── invocations/ ── runtimes/ ── hotwhisk serve --openwhisk, one per action in use
               │           │
               └── store/ ─┘   SQLite: keys, all versions of actions, rules, activations
"""
