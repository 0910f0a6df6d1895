"""The entry point of ``hotwhisk`` and of ``python -m hotwhisk``."""

import sys

from hotwhisk.cli import main as run_command


def main() -> int:
    """Run the command that the process was started with."""
    return run_command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
