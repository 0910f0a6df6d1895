"""
The entry point of ``hotwhisk`` and of ``python -m hotwhisk``.

The environment is handed on from here; nothing but `hotwhisk.config` knows the names in it.
"""

import os
import sys

from hotwhisk.cli import main as run_command


def main() -> int:
    """
    Run the command that the process was started with.
    """
    return run_command(sys.argv[1:], os.environ)


if __name__ == "__main__":
    sys.exit(main())
