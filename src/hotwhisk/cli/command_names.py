"""The names of all commands, with a line of help for each. Pure."""

from __future__ import annotations

COMMANDS = {
    "new": "make the folder of an action, with a test that passes",
    "serve": "serve an action: a .py file, a folder, a zip, a built artifact, or none yet",
    "replace": "replace the current version of a running server",
    "invoke": "call the action and print its answer",
    "status": "show what a running server is doing",
    "history": "list the versions that were current, and which of them are kept",
    "rollback": "make an earlier version current again",
    "up": "be OpenWhisk on this machine: its API and a page, for wsk and other clients",
    "dev": "serve the actions of a folder on this machine, and replace each at every save",
    "lambda": "be the runtime of a function in AWS Lambda, or under its emulator",
    "doctor": "check that this machine or container has what a server needs",
    "build": "make one file of an action and its dependencies",
    "inspect": "show what is in a built artifact, and what its imports cost",
    "compare": "run actions on two runtimes and print what differs",
    "completion": "print the script that completes commands and options in bash, zsh or fish",
    "proxy": "be the entry point of an OpenWhisk image: serve --openwhisk, -compile, -version",
}
_MODULES = {"lambda": "aws_lambda"}  # the name of the command is a word of the language
WITHOUT_PORT = ("-version", "-compile", "-env")
"""The flags of `hotwhisk.cli.proxy` that ``hotwhisk`` also takes, since they open no port."""


def module_of(command: str) -> str:
    """Return the name of the module that runs a command."""
    return f"hotwhisk.cli.{_MODULES.get(command, command)}"
