"""Which answers to a request for IAM are IAM's: many stores have another service at that address, or none."""

from http import HTTPStatus
from typing import Any, Final
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from botocore.exceptions import ClientError

from mediabucket_s3.errors import AccessDenied, IdentityMissing, StoreUnavailable, Throttled, error_class

# MinIO has STS at the address where others have IAM, and refuses there what it does not know.
_STS: Final = "sts.amazonaws.com"
_ABSENCE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)
# As botocore has it.
_FIRST_ERROR: Final = 301


def read_answer(response_dict: dict[str, Any], operation_model: Any, **_: Any) -> None:
    """Put an answer that is not IAM's into IAM's words before botocore reads it.

    botocore takes any well-formed text for a success, finds no code in S3's errors, and tells all of what it cannot
    read, be it half an answer with a secret in it.
    """
    operation, http_status = operation_model.name, response_dict["status_code"]
    error = foreign_answer(operation, http_status, response_dict["body"])
    if error is None:
        return
    code, message = error
    if http_status < _FIRST_ERROR:
        told = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": http_status}}
        raise ClientError(told, operation)
    # Not raised: botocore tries again after some of these.
    body = (
        f"<ErrorResponse><Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error></ErrorResponse>"
    )
    response_dict["body"] = body.encode()


def foreign_answer(operation: str, http_status: int, body: bytes) -> tuple[str, str] | None:
    """Code and message of an answer that is not IAM's; None for one that is.

    NotImplemented only where there is no IAM for certain: whoever hears that hands out the store's own key instead.
    """
    root = _root(body)
    succeeded = http_status < _FIRST_ERROR
    name = _local_name(root)
    if name == (f"{operation}Response" if succeeded else "ErrorResponse") and not _is_of_sts(root):
        return None
    if succeeded and f"<{operation}Response".encode() in body:
        return "InternalFailure", "the answer breaks off"
    code, message = _error_in(root)
    if _means_no_iam(operation, http_status, code, _is_of_sts(root)):
        return "NotImplemented", f"there is no IAM at this endpoint: {code} {message}".rstrip(": ")
    return code or str(http_status), message or "the answer is not IAM's"


def _means_no_iam(operation: str, http_status: int, code: str, of_sts: bool) -> bool:
    kind = error_class(operation, code, http_status)
    if of_sts:
        return kind not in (StoreUnavailable, Throttled)
    if http_status in _ABSENCE:
        return kind not in (IdentityMissing, AccessDenied)
    return http_status < _FIRST_ERROR and not code


def _root(body: bytes) -> ElementTree.Element | None:
    try:
        return ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError, LookupError):
        return None


def _local_name(element: ElementTree.Element | None) -> str:
    return "" if element is None else element.tag.rpartition("}")[2]


def _is_of_sts(root: ElementTree.Element | None) -> bool:
    return root is not None and _STS in root.tag


def _error_in(root: ElementTree.Element | None) -> tuple[str, str]:
    """Code and message as S3 and AWS's query services tell them, empty where there are none."""
    told = {_local_name(element): (element.text or "").strip() for element in (root.iter() if root is not None else ())}
    is_error = _local_name(root) in ("Error", "ErrorResponse")
    return (told.get("Code", ""), told.get("Message", "")) if is_error else ("", "")
