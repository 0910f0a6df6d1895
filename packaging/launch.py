"""
What starts hotwhisk in the image, under the name it was called by: `proxy`, the entry point of
OpenWhisk's images, is `hotwhisk proxy`; `hotwhisk` takes a command.

hotwhisk lies where no interpreter looks. Its folder is on the path for one import only: from then
on the package knows where its modules are, and an action's imports, its `pip list` and the
programs that it starts see the image's own Python.
"""

import os
import sys

HOME = "/opt/hotwhisk/lib"

sys.path.insert(0, HOME)
import hotwhisk  # noqa: E402, F401

sys.path.remove(HOME)

from hotwhisk.cli import main  # noqa: E402

arguments = sys.argv[1:]
if os.path.basename(sys.argv[0]) == "proxy":
    arguments = ["proxy", *arguments]
sys.exit(main(arguments))
