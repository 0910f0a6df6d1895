"""
SHA-256 without OpenSSL.

`hashlib` loads OpenSSL: 3 to 6 ms and half a megabyte in every process of the tree, to name a
source of a few hundred bytes. Python has a function of its own beside it. OpenSSL is several
times as fast on megabytes, so it is loaded for those, in the one process that has them.
"""

from __future__ import annotations

try:
    from _sha2 import sha256 as _sha256  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    try:
        from _sha256 import sha256 as _sha256  # type: ignore[import-not-found,no-redef,unused-ignore]  # 3.11
    except ImportError:  # built without
        from hashlib import sha256 as _sha256

WORTH_OPENSSL = 1 << 20


def sha256(data: bytes) -> bytes:
    """The digest of ``data``."""
    if len(data) < WORTH_OPENSSL:
        digest: bytes = _sha256(data).digest()
        return digest
    import hashlib

    return hashlib.sha256(data).digest()
