"""
Make a version current by a trial, after another one was refused by one.

``python -m tests.prove.trial_step HOST PORT NUMBER`` is what the load of the proof `trial` calls to
replace a version. It exits with 0 if the wrong version was refused and the right one is current.
"""

from __future__ import annotations

import sys

from tests.support.actions import version_source
from tests.support.trial import post_trial

WRONG = """
right = main
def main(event):
    return right(event) | {"token": "wrong"}
"""
COPIES = 64


def main(host: str, port: str, number: str) -> str:
    """Post both versions; return what is wrong with the verdicts, empty if nothing is."""
    address, source = (host, int(port)), version_source(int(number))
    for posted, expected in ((source + WRONG, 409), (source, 200)):
        response = post_trial(address, posted, copies=COPIES, ignore=[r"^\d+$"])
        if response.status != expected:
            return f"{response.status} {response.body[:300]!r}, expected {expected}"
    return ""


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or None)
