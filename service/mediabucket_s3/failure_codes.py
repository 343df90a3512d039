"""The code of a failed call as a label: few values, whatever a store answers."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from mediabucket_s3.errors import ERROR_CODES, TRANSPORT_FAILURES

# The label of a call that did not fail.
ANSWERED: Final = "OK"
OTHER: Final = "Other"
CANCELLED: Final = "Cancelled"
# Answers without a body, to HEAD above all, have their status for a code.
_STATUSES: Final = frozenset(str(status.value) for status in HTTPStatus if status >= HTTPStatus.MULTIPLE_CHOICES)
_KNOWN: Final = frozenset().union(_STATUSES, *ERROR_CODES.values())


def failure_code(error: BaseException) -> str:
    """S3's code of what a call of a library raised: of no answer the name of the failure, of unknown codes `Other`.

    `Cancelled`: whoever called did not wait for the answer.
    """
    if isinstance(error, ClientError):
        return answered_code(error.response)
    if isinstance(error, asyncio.CancelledError):
        return CANCELLED
    return type(error).__name__ if isinstance(error, (BotoCoreError, *TRANSPORT_FAILURES)) else OTHER


def answered_code(parsed: Mapping[str, Any]) -> str:
    """S3's code of an answer that is an error, as botocore has parsed it."""
    return known_code(str(parsed.get("Error", {}).get("Code")))


def known_code(code: str) -> str:
    return code if code in _KNOWN else OTHER
