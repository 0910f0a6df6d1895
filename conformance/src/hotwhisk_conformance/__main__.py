"""``python -m hotwhisk_conformance``."""

import sys

from hotwhisk_conformance.command import main

sys.exit(main())
