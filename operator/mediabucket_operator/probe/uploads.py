"""Trials of what presigned requests are held to."""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final

from mediabucket_operator.probe.laboratory import (
    URL_SECONDS,
    Finding,
    Laboratory,
    enforced,
    ignored,
    key,
    unsupported,
)
from mediabucket_s3.errors import NotImplementedByStore
from mediabucket_s3.presign import PresignedRequest
from mediabucket_s3.raw_requests import RawResponse

_BODY: Final = b"a probe of this store"
_OTHER: Final = b"A PROBE OF THIS STORE"
_UPLOAD_ID: Final = re.compile(rb"<UploadId>([^<]+)</UploadId>")
# S3 wants all parts but the last to have 5 MiB; one alone is the last.
_PART: Final = b"part"
_OTHER_STATE: Final = {"x-amz-copy-source-if-match": '"00000000000000000000000000000000"'}


def signature_verified(laboratory: Laboratory) -> Finding:
    request = laboratory.signed_upload("signature", _BODY)
    last = "0" if request.url[-1] != "0" else "1"
    tampered = PresignedRequest(request.url[:-1] + last, request.method, request.headers, request.expires_at)
    return _refuses(laboratory.send(request, _BODY), "a wrong signature", lambda: laboratory.send(tampered, _BODY))


def url_expiry(laboratory: Laboratory) -> Finding:
    long_ago = datetime.now(UTC) - timedelta(seconds=URL_SECONDS * 5)
    expired = laboratory.signed_upload("expiry", _BODY, now=long_ago)
    return _refuses(laboratory.upload("expiry", _BODY), "an expired URL", lambda: laboratory.send(expired, _BODY))


def signed_content_type(laboratory: Laboratory) -> Finding:
    request = laboratory.signed_upload("type", _BODY)
    other = request.headers | {"Content-Type": "text/html"}
    return _refuses(
        laboratory.send(request, _BODY), "another type", lambda: laboratory.send(request, _BODY, headers=other)
    )


def signed_content_length(laboratory: Laboratory) -> Finding:
    accepted = laboratory.upload("length", _BODY)
    return _refuses(accepted, "more bytes", lambda: laboratory.upload("length", _BODY, sent=_BODY + b" and more"))


def signed_checksum(laboratory: Laboratory) -> Finding:
    accepted = laboratory.upload("checksum", _BODY, checksum=True)
    return _refuses(accepted, "other bytes", lambda: laboratory.upload("checksum", _BODY, checksum=True, sent=_OTHER))


def if_none_match(laboratory: Laboratory) -> Finding:
    accepted = laboratory.upload("once", _BODY, once=True)
    return _refuses(accepted, "a second PUT", lambda: laboratory.upload("once", _BODY, once=True))


def checksum_on_head(laboratory: Laboratory) -> Finding:
    accepted = laboratory.upload("kept-checksum", _BODY, checksum=True)
    if not accepted.ok:
        return unsupported(f"PUT with a checksum: {accepted.summary}")
    return _tells_checksum(laboratory, "kept-checksum", "HEAD of an upload with a checksum")


def checksum_on_copy(laboratory: Laboratory) -> Finding:
    copied = _copy(laboratory, "hashed", {"x-amz-checksum-algorithm": "SHA256"})
    if not copied.ok:
        return unsupported(f"copy with a checksum to compute: {copied.summary}")
    return _tells_checksum(laboratory, "hashed", "HEAD of a copy whose checksum was to be computed")


def copy_source_if_match(laboratory: Laboratory) -> Finding:
    return _pins("copy", _copy(laboratory, "copied", {}), lambda: _copy(laboratory, "copied", _OTHER_STATE))


def multipart(laboratory: Laboratory) -> Finding:
    upload = _begun(laboratory, "parts")
    part = laboratory.call("PUT", "parts", query={"partNumber": "1", **upload}, body=_PART)
    listed = laboratory.call("GET", "parts", query=upload)
    aborted = laboratory.call("DELETE", "parts", query=upload)
    for step, answer in (("a part", part), ("listing parts", listed), ("aborting", aborted)):
        if not answer.ok:
            return unsupported(f"{step}: {answer.summary}")
    if b"<PartNumber>1</PartNumber>" not in listed.body:
        return unsupported("the list of parts lacks the one that was sent")
    return enforced("a part was sent, listed and aborted")


def upload_part_copy(laboratory: Laboratory) -> Finding:
    """Of the whole source: S3 takes no range of one that has less than 5 MiB.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
    """
    upload = _begun(laboratory, "copied-parts")
    laboratory.upload("source", _BODY)

    def copy_part(headers: Mapping[str, str]) -> RawResponse:
        request = laboratory.presigner.copy(
            key("source"),
            key("copied-parts"),
            headers=headers,
            query={"partNumber": "1", **upload},
            expires_in=URL_SECONDS,
        )
        return laboratory.send(request)

    copied = copy_part({})
    found = _pins("copy of a part", copied, lambda: copy_part(_OTHER_STATE))
    laboratory.call("DELETE", "copied-parts", query=upload)
    if copied.ok and b"CopyPartResult" not in copied.body:
        return unsupported(f"copy of a part: {copied.summary}, and nothing was copied")
    return found


def _refuses(accepted: RawResponse, what_is_wrong: str, wrong: Callable[[], RawResponse]) -> Finding:
    """Enforced: the right request is accepted, and the wrong one refused."""
    if not accepted.ok:
        return unsupported(f"PUT as signed: {accepted.summary}")
    answer = wrong()
    evidence = f"PUT as signed: {accepted.summary}; {what_is_wrong}: {answer.summary}"
    return ignored(evidence) if answer.ok else enforced(evidence)


def _pins(what: str, accepted: RawResponse, of_another_state: Callable[[], RawResponse]) -> Finding:
    """Enforced: what has changed is not copied, and for that reason. Bytes are published on the strength of it, so that
    no other refusal will do.
    """
    if not accepted.ok:
        return unsupported(f"{what} as signed: {accepted.summary}")
    answer = of_another_state()
    evidence = f"{what} as signed: {accepted.summary}; of another state: {answer.summary}"
    return enforced(evidence) if answer.status == HTTPStatus.PRECONDITION_FAILED else ignored(evidence)


def _begun(laboratory: Laboratory, name: str) -> dict[str, str]:
    """What names a new multipart upload in a query. Raises NotImplementedByStore."""
    begun = laboratory.call("POST", name, query={"uploads": ""})
    found = _UPLOAD_ID.search(begun.body)
    if found is None:
        raise NotImplementedByStore("CreateMultipartUpload", begun.summary, begun.status)
    return {"uploadId": found.group(1).decode()}


def _copy(laboratory: Laboratory, name: str, headers: dict[str, str]) -> RawResponse:
    laboratory.upload("source", _BODY)
    request = laboratory.presigner.copy(key("source"), key(name), headers=headers, expires_in=URL_SECONDS)
    return laboratory.send(request)


def _tells_checksum(laboratory: Laboratory, name: str, what: str) -> Finding:
    head = laboratory.call("HEAD", name, headers={"x-amz-checksum-mode": "ENABLED"})
    told = head.headers.get("x-amz-checksum-sha256")
    if not told:
        return unsupported(f"{what}: {head.summary}, no SHA-256")
    if told != base64.b64encode(hashlib.sha256(_BODY).digest()).decode():
        return ignored(f"{what}: {head.summary}, a SHA-256 of something else")
    return enforced(f"{what}: its SHA-256")
