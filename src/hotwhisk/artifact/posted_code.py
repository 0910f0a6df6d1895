"""
Read the ``code`` of an ``/init``.

A source posted as base64 and one posted as text are the same artifact, with the same digest.
"""

from __future__ import annotations

import binascii

from hotwhisk.errors import BodyTooLarge, RequestError
from hotwhisk.sizes import MOST_CODE, show_excess

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hotwhisk.openwhisk.bodies import InitRequest


def decode(request: InitRequest) -> bytes:
    """Return the bytes of the posted code."""
    if not request.binary:
        content = request.code.encode("utf-8", "surrogatepass")
    else:
        content = _decode_base64(request.code)
    if len(content) > MOST_CODE:
        has, limit = show_excess(len(content), MOST_CODE)
        raise BodyTooLarge(f"the code has {has}; the limit is {limit}")
    return content


def _decode_base64(code: str) -> bytes:
    """Decode base64, even if a shell or a mail program broke it by spaces and line ends."""
    try:
        return binascii.a2b_base64(code, strict_mode=True)  # as it is: a copy may be 50 MB
    except ValueError:
        pass
    try:
        return binascii.a2b_base64("".join(code.split()), strict_mode=True)
    except ValueError as error:
        raise RequestError(
            f"cannot decode the request: `binary` is true, but `code` is not base64: {error}"
        ) from None
