"""
The ``__main__`` of a built artifact: serve the artifact in which this file lies.

It is copied to the top of the artifact and run from there, by any Python. So it checks the version
and says which one is needed, before it imports anything newer.
"""

import json
import os
import sys
import zipfile

HELP = """\
usage: {program} [OPTION]...

Serves the action {name} until it is told to stop. The options are those of hotwhisk serve:
  --port PORT    where to listen (8080)
  --help-serve   all of them
  --version      what this is

{program} lambda is the action's runtime in AWS Lambda.
{program} COMMAND runs another command of hotwhisk: invoke, replace, rollback, status."""


def arguments(given: "list[str]", artifact: str) -> "list[str]":
    """
    Return the command line for hotwhisk.

    Without a command, or with ``serve``, the artifact serves itself. With ``lambda`` it is the
    function. Any other command is passed on as it is.
    """
    if given == ["--help-serve"]:
        return ["serve", "--help"]
    if not given or given[0].startswith("-"):
        return ["serve", artifact, *given]
    if given[0] == "serve":
        return ["serve", artifact, *given[1:]]
    if given[0] == "lambda":
        return ["lambda", "--artifact", artifact, *given[1:]]
    return given


def about(given: "list[str]", artifact: str) -> str:
    """Return the output of ``--version`` and ``--help``, or an empty text for other commands."""
    if given not in (["--version"], ["-V"], ["--help"], ["-h"]):
        return ""
    with zipfile.ZipFile(artifact) as opened:
        stated = json.loads(opened.read("hotwhisk.json"))
    if given[0] in ("--help", "-h"):
        return HELP.format(program=sys.argv[0], name=stated["name"])
    where = "" if stated["platform"] == "any" else " on " + stated["platform"]
    import hashlib  # it brings OpenSSL, which serving does without

    with open(artifact, "rb") as file:
        version = hashlib.sha256(file.read()).hexdigest()  # as a server names it
    wanted = stated["python"].replace(">=", "") + (" or newer" if ">" in stated["python"] else "")
    return (
        f"{stated['name']} (sha256:{version[:12]}…), for Python {wanted}{where}; "
        f"hotwhisk {stated['hotwhisk']}"
    )


def main() -> int:
    """Run the hotwhisk in the artifact."""
    if sys.version_info < (3, 11):
        sys.exit("this artifact needs Python 3.11 or newer, and was started by " + sys.version)
    artifact = os.path.abspath(sys.argv[0])
    sys.path[0] = artifact  # Python may have put it there as a relative path
    if text := about(sys.argv[1:], artifact):
        sys.stdout.write(text + "\n")
        return 0
    from hotwhisk.cli import main as run

    return run(arguments(sys.argv[1:], artifact))


if __name__ == "__main__":
    sys.exit(main())
