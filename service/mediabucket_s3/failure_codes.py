"""The code of a failed call as a label: few values, whatever a store answers."""

import asyncio
from http import HTTPStatus
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from mediabucket_s3.errors import ERROR_CODES, TRANSPORT_FAILURES

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
        code = str(error.response.get("Error", {}).get("Code"))
        return code if code in _KNOWN else OTHER
    if isinstance(error, asyncio.CancelledError):
        return CANCELLED
    return type(error).__name__ if isinstance(error, (BotoCoreError, *TRANSPORT_FAILURES)) else OTHER
