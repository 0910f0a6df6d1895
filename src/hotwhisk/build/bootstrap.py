"""
The ``__main__`` of a built artifact: serve the artifact this file lies in.

It is copied to the top of the artifact and run from there, by whatever Python is found;
so it says in words which one is needed before anything newer is imported.
"""

import os
import sys


def arguments(given: "list[str]", artifact: str) -> "list[str]":
    """
    The command line for hotwhisk. Without a command, or with ``serve``, the artifact
    serves itself; any other command goes through as it is.
    """
    if not given or given[0].startswith("-"):
        return ["serve", artifact, *given]
    if given[0] == "serve":
        return ["serve", artifact, *given[1:]]
    return given


def main() -> int:
    """
    Hand over to the hotwhisk that is in the artifact.
    """
    if sys.version_info < (3, 11):
        sys.exit("this artifact needs Python 3.11 or newer, and was started by " + sys.version)
    artifact = os.path.abspath(sys.argv[0])
    sys.path[0] = artifact  # Python may have put it there as a relative path
    from hotwhisk.cli import main as run

    return run(arguments(sys.argv[1:], artifact))


if __name__ == "__main__":
    sys.exit(main())
