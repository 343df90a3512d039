"""What a store answered to each attempt of a call, told to whoever wants to count or to be kept awake by it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mediabucket_s3.failure_codes import ANSWERED, answered_code, failure_code

# In the dictionary that botocore keeps for each call.
_SENT: Final = "mediabucket_sent"


@dataclass(frozen=True)
class Answer:
    """One attempt of a call: S3's name of it, a code (see failure_codes), how long the store took."""

    operation: str
    code: str
    seconds: float

    @property
    def ok(self) -> bool:
        return self.code == ANSWERED


AnswerListener = Callable[[Answer], None]


def unheard(_: Answer) -> None:
    """For whoever wants to know nothing of it."""


def tell_answers(client: Any, listener: AnswerListener) -> None:
    """Call `listener` after each attempt of a call of a boto3 client, answered or not: whoever waits for one that is
    never answered is not stuck.
    """

    def attempt_ended(operation: Any, request_dict: Mapping[str, Any], **what: Any) -> None:
        seconds = time.perf_counter() - request_dict["context"][_SENT]
        listener(Answer(operation.name, _code(what["response"], what["caught_exception"]), seconds))

    client.meta.events.register("request-created", _attempt_begins)
    client.meta.events.register("needs-retry", attempt_ended)


def _attempt_begins(request: Any, **_: Any) -> None:
    request.context[_SENT] = time.perf_counter()


def _code(response: tuple[Any, Mapping[str, Any]] | None, error: BaseException | None) -> str:
    if response is None:
        return failure_code(error or KeyError())
    http, parsed = response
    return ANSWERED if http.status_code < 300 else answered_code(parsed)
