"""
The platform on one machine: OpenWhisk's REST API and a page, in front of one server per action.

Only the commands ``hotwhisk up`` and ``hotwhisk dev`` import this package. It needs the extra
``hotwhisk[up]``.

    client ── api/ ── invocations/ ── runtimes/ ── hotwhisk serve --openwhisk, one per action in use
               │           │
               └── store/ ─┘   SQLite: keys, all versions of actions, rules, activations
"""
