"""
Compute SHA-256 without OpenSSL.

`hashlib` loads OpenSSL: 3 to 6 ms and half a megabyte in every process of the tree, to name a
source of a few hundred bytes. Python also has a SHA-256 of its own. For megabytes OpenSSL is
several times as fast, so it is loaded for those, in the one process that has them.
"""

from __future__ import annotations

try:
    from _sha2 import sha256 as _sha256  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    try:
        from _sha256 import sha256 as _sha256  # type: ignore[import-not-found,no-redef,unused-ignore]  # 3.11
    except ImportError:  # Python was built without it
        from hashlib import sha256 as _sha256

WORTH_OPENSSL = 1 << 20


def sha256(data: bytes | memoryview) -> bytes:
    """Return the digest of ``data``."""
    if len(data) < WORTH_OPENSSL:
        digest: bytes = _sha256(data).digest()
        return digest
    import hashlib

    return hashlib.sha256(data).digest()


def digest_of(content: bytes | memoryview) -> str:
    """Return the digest that identifies content, such as an artifact: ``sha256:`` and 64 digits."""
    return "sha256:" + sha256(content).hex()
