"""
Deploy the actions of a folder, and replace them while they are edited.

``hotwhisk dev`` is ``hotwhisk up`` with these parts beside it:

    watching ── waits until a file changes that an action is made of, or has opened
       └── deployment ── posts the new version to the server of its action; stores it if it loads
    in_action ── runs in that server: tells which files the action opens, serves breakpoint()
    terminal ── a line for each request, with its log
"""
