"""One request, again and again while that is worth it, and what its answer means."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from mediabucket.client.errors import ConnectionFailed, NotVerifiedYet, StoreRefused, UnexpectedAnswer
from mediabucket.client.problems import ConfirmInProgress, Problem, problem_of
from mediabucket.client.retry import Retry, is_worth_a_retry, retry_after_seconds
from mediabucket.client.steps import Answer, ApiCall, Flow, Pause

T = TypeVar("T")

_ASK_AGAIN_SECONDS: Final = 2.0
_CODE: Final = re.compile(rb"<Code>([^<]{1,100})</Code>")
_MESSAGE: Final = re.compile(rb"<Message>([^<]{1,300})</Message>")


@dataclass(frozen=True)
class Settings:
    """What all requests of a client have in common.

    `parallel_parts`: of one large file. `verification_seconds`: how long a file may be verified. `now`: a clock in
    seconds that never goes back.
    """

    retry: Retry = field(default_factory=Retry)
    parallel_parts: int = 4
    verification_seconds: float = 3600.0
    now: Callable[[], float] = time.monotonic


def with_retries(retry: Retry, attempt: Callable[[], Flow[Answer]]) -> Flow[Answer]:
    """The first answer that no repetition makes better, or the last one. Raises ConnectionFailed, as the last."""
    failures, waited = 0, 0.0
    while True:
        answer: Answer | None = None
        failure: ConnectionFailed | None = None
        try:
            answer = yield from attempt()
        except ConnectionFailed as error:
            failure = error
        if answer is not None and not is_worth_a_retry(answer.status):
            return answer
        failures += 1
        seconds = retry.wait(failures, waited, None if answer is None else retry_after_seconds(answer.headers))
        if seconds is None:
            if answer is not None:
                return answer
            assert failure is not None
            raise failure
        yield Pause(seconds)
        waited += seconds


def call(settings: Settings, request: ApiCall) -> Flow[Answer]:
    """The answer to a request that the API did not refuse. Raises Problem, UnexpectedAnswer, ConnectionFailed."""

    def attempt() -> Flow[Answer]:
        answer: Answer = yield request
        return answer

    answer = yield from with_retries(settings.retry, attempt)
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise refusal_of(answer)
    if (answer.status >= HTTPStatus.MULTIPLE_CHOICES) != request.redirects:
        raise UnexpectedAnswer(answer.status, "the answer is not what the API answers")
    return answer


def settled(settings: Settings, request: ApiCall) -> Flow[Answer]:
    """`call` for requests that are to be repeated while a file is being verified, until that is done.

    Raises NotVerifiedYet besides.
    """
    patience_ends = settings.now() + settings.verification_seconds
    while True:
        try:
            answer = yield from call(settings, request)
            if answer.status != HTTPStatus.ACCEPTED:
                return answer
            seconds = retry_after_seconds(answer.headers)
        except ConfirmInProgress as problem:
            seconds = problem.retry_after_seconds
        if settings.now() > patience_ends:
            raise NotVerifiedYet(
                f"the service is still verifying the file after {settings.verification_seconds:.0f} seconds; confirm it"
                " later"
            )
        yield Pause(_ASK_AGAIN_SECONDS if seconds is None else seconds)


def refusal_of(answer: Answer) -> Problem | UnexpectedAnswer:
    """The error that an answer of 400 and above stands for."""
    try:
        document = json.loads(answer.body)
    except ValueError:
        document = None
    if not isinstance(document, dict) or "type" not in document:
        return UnexpectedAnswer(answer.status, "what answered does not say what is wrong")
    return problem_of(answer.status, document, retry_after_seconds=retry_after_seconds(answer.headers))


def read(answer: Answer, kind: Any) -> Any:
    """The body as this type. Raises UnexpectedAnswer."""
    try:
        return TypeAdapter(kind).validate_json(answer.body)
    except ValidationError:
        raise UnexpectedAnswer(answer.status, "the answer is not what the API answers") from None


def store_refusal(answer: Answer, kind: type[StoreRefused] = StoreRefused) -> StoreRefused:
    """The error that a refusal of the store stands for."""
    found = [pattern.search(answer.body) for pattern in (_CODE, _MESSAGE)]
    code, message = [match[1].decode(errors="replace") if match else "" for match in found]
    return kind(answer.status, code, message)
