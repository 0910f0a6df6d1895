"""Change the limits of the test process."""

from __future__ import annotations

import resource


def raise_files(wanted: int) -> None:
    """Allow this process ``wanted`` open files, or as many as it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
