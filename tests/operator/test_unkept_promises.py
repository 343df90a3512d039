"""What a manifest promises and its store was found not to keep."""

import pytest

from mediabucket_api.spec import MAX_SINGLE_PUT_BYTES, Integrity, Uploads
from mediabucket_operator.provision import unkept_promise

SIGNED = Uploads(integrity=Integrity.SIGNED)
LARGE = Uploads(max_bytes=MAX_SINGLE_PUT_BYTES + 1)


@pytest.mark.parametrize(
    ("uploads", "capabilities", "reason", "told"),
    [
        (SIGNED, {"SignedChecksum": "Ignored"}, "IntegrityNotEnforced", "SignedChecksum: use Verified"),
        (
            SIGNED,
            {"SignedChecksum": "Unsupported", "IfNoneMatch": "Ignored"},
            "IntegrityNotEnforced",
            "does not enforce SignedChecksum and IfNoneMatch",
        ),
        (
            LARGE,
            {"UploadPartCopy": "Unsupported"},
            "LargeFilesUnsupported",
            "uploads.maxBytes is 5368709121, and the store lacks UploadPartCopy, without which files above 5368709120"
            " bytes are refused: set that or less",
        ),
        (LARGE, {"Multipart": "Unsupported"}, "LargeFilesUnsupported", "lacks Multipart, "),
    ],
)
def test_a_promise_that_the_store_does_not_keep(
    uploads: Uploads, capabilities: dict[str, str], reason: str, told: str
) -> None:
    verdict = unkept_promise(uploads, capabilities)
    assert verdict is not None
    assert (verdict.status, verdict.reason) == ("False", reason)
    assert told in verdict.message


@pytest.mark.parametrize(
    ("uploads", "capabilities"),
    [
        (Uploads(), {"SignedChecksum": "Ignored", "UploadPartCopy": "Unsupported", "Multipart": "Unsupported"}),
        (SIGNED, {"SignedChecksum": "Enforced", "IfNoneMatch": "Enforced"}),
        (LARGE, {"UploadPartCopy": "Enforced", "Multipart": "Enforced"}),
        # Confirm copies once more then.
        (LARGE, {"UploadPartCopy": "Ignored"}),
        # Never probed.
        (SIGNED, {}),
        (LARGE, {}),
        (Uploads(max_bytes=MAX_SINGLE_PUT_BYTES), {"UploadPartCopy": "Unsupported"}),
    ],
)
def test_one_that_it_keeps_or_may_keep(uploads: Uploads, capabilities: dict[str, str]) -> None:
    assert unkept_promise(uploads, capabilities) is None
