"""What a store says of the SHA-256 of an object.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
"""

import base64
import binascii
from typing import Any, Final

_SHA256_BYTES: Final = 32


def whole_sha256(answer: dict[str, Any]) -> bytes | None:
    """The SHA-256 of all bytes of an object in the answer to HeadObject; None where it does not tell one.

    A composite checksum is one of the parts' checksums: it says nothing that could be compared.
    """
    text = answer.get("ChecksumSHA256")
    if not text or answer.get("ChecksumType") == "COMPOSITE":
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return digest if len(digest) == _SHA256_BYTES else None
