"""What holds for every call of a client: it ends in time, and somebody may watch it.

botocore's timeouts are of one attempt and of one silence on the connection, the same for a HEAD and for a copy of
5 GiB. So the long one is given to botocore, and each call is bounded here, all its attempts together.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

# A call that the store answers from what it knows, with all attempts.
ANSWER_SECONDS: Final = 10.0
# These take as long as the store needs for the bytes; their callers, who know how many, bound them.
_AS_LONG_AS_IT_TAKES: Final = frozenset(
    {"CopyObject", "UploadPartCopy", "CompleteMultipartUpload", "PutObject", "UploadPart"}
)
# The slowest store that is worth waiting for.
COPIED_BYTES_PER_SECOND: Final = 50_000_000

# Encloses one call, whose name in S3 it is given.
CallWatcher = Callable[[str], AbstractContextManager[object]]


def unwatched(_: str) -> AbstractContextManager[object]:
    return nullcontext()


def copy_seconds(size: int) -> float:
    """How long a copy of this many bytes may take."""
    return ANSWER_SECONDS + size / COPIED_BYTES_PER_SECOND


def bound_calls(client: Any, watch: CallWatcher, seconds: float = ANSWER_SECONDS) -> None:
    """Let every call of an aiobotocore client end within `seconds`, and happen inside `watch`. It then raises
    TimeoutError, which `translated_s3_errors` knows.

    Replaces the one method through which all calls go, as OpenTelemetry's instrumentation of aiobotocore does.
    """
    call = client._make_api_call

    async def bounded_call(operation: str, arguments: Mapping[str, Any]) -> Any:
        with watch(operation):
            if operation in _AS_LONG_AS_IT_TAKES:
                return await call(operation, arguments)
            try:
                async with asyncio.timeout(seconds):
                    return await call(operation, arguments)
            except TimeoutError as error:
                raise TimeoutError(f"no answer within {seconds:g} s") from error

    client._make_api_call = bounded_call
